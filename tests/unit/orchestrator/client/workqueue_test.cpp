#include <gtest/gtest.h>

#include "orchestrator/client/informer.h"

namespace lab::client {
namespace {

using std::chrono::milliseconds;

TEST(WorkQueue, AKeyIsInWorkOnceAndComesBackWhenAddedMeanwhile) {
  auto body = []() -> Task<void> {
    WorkQueue queue(*Loop::current());
    queue.add("a");
    queue.add("a");
    EXPECT_EQ(queue.size(), 1u);
    auto key = co_await queue.get({});
    EXPECT_EQ(key, "a");
    queue.add("a");
    EXPECT_EQ(queue.size(), 0u);  // not while it is in work
    queue.done("a");
    EXPECT_EQ(queue.size(), 1u);
  };
  run_task(body());
}

TEST(WorkQueue, TheEarlierOfTwoDelaysCounts) {
  auto body = []() -> Task<void> {
    Loop& loop = *Loop::current();
    WorkQueue queue(loop);
    queue.add_after("a", std::chrono::hours(1));
    queue.add_after("a", milliseconds(1));
    queue.add_after("a", std::chrono::hours(2));
    auto key = co_await queue.get({});
    EXPECT_EQ(key, "a");
  };
  run_task(body());
}

TEST(WorkQueue, StopWakesAllWaiters) {
  auto body = []() -> Task<void> {
    Loop& loop = *Loop::current();
    WorkQueue queue(loop);
    std::stop_source stop;
    Scope scope(loop);
    int ended = 0;
    for (int i = 0; i < 3; ++i)
      scope.spawn("waiter", [&]() -> Task<void> {
        EXPECT_FALSE(co_await queue.get(stop.get_token()));
        ++ended;
      });
    co_await sleep_for(milliseconds(5));
    stop.request_stop();
    co_await scope.close();
    EXPECT_EQ(ended, 3);
  };
  run_task(body());
}

TEST(RunWorkers, FailuresComeBackExceptionsIncludedAndKeysRunInParallel) {
  auto body = []() -> Task<void> {
    Loop& loop = *Loop::current();
    WorkQueue queue(loop);
    std::stop_source stop;
    int tries = 0, most = 0, now = 0, finished = 0;
    auto reconcile = [&](std::string key) -> Task<Result<void>> {
      most = std::max(most, ++now);
      co_await sleep_for(milliseconds(20));
      --now;
      if (key == "flaky" && ++tries < 4) {
        if (tries == 2) throw std::runtime_error("bug");
        co_return fail(Code::kUnavailable, "not yet");
      }
      if (++finished == 4) stop.request_stop();
      co_return Result<void>();
    };
    for (auto key : {"flaky", "b", "c", "d"}) queue.add(key);
    co_await run_workers("test", queue, 3, reconcile, stop.get_token());
    EXPECT_EQ(tries, 4);
    EXPECT_EQ(most, 3);
    EXPECT_EQ(queue.failures("flaky"), 0);
  };
  run_task(body());
}

}  // namespace
}  // namespace lab::client
