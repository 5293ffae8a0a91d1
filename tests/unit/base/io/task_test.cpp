// Tasks, loops, scopes, one-shots, events, mailboxes, pools.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>

#include "base/io/pool.h"
#include "base/io/scope.h"
#include "base/io/sync.h"

namespace lab {
namespace {

using namespace std::chrono_literals;

Task<int> add(int a, int b) {
  co_return a + b;
}
Task<int> sum_to(int n) {
  int sum = 0;
  for (int i = 1; i <= n; ++i) sum = co_await add(sum, i);
  co_return sum;
}

TEST(Task, AwaitedResultsComeBackWithoutStackGrowth) {
  EXPECT_EQ(run_task(sum_to(60000)), 1800030000);
}

Task<void> thrower() {
  co_await sleep_for(1ms);
  throw std::runtime_error("boom");
}
TEST(Task, ExceptionsReachTheAwaiter) {
  EXPECT_THROW(run_task(thrower()), std::runtime_error);
}

TEST(Loop, PostedFunctionsRunInOrderOnTheLoopsThread) {
  std::vector<int> seen;
  std::set<std::thread::id> threads;
  std::atomic<bool> done = false;
  {
    LoopThread thread("order");
    for (int i = 0; i < 100; ++i) {
      thread.loop().post([&, i] {
        seen.push_back(i);
        threads.insert(std::this_thread::get_id());
        if (i == 99) done = true;
      });
    }
    while (!done) std::this_thread::yield();
  }
  ASSERT_EQ(seen.size(), 100u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

// A timer that fired in the same round in which it is cancelled must not run.
TEST(Loop, CancelledTimersNeverRun) {
  EventLoop loop;
  bool second_ran = false;
  Loop::TimerId second = 0;
  auto when = loop.now() + 5ms;
  loop.call_at(when, [&] { loop.cancel_timer(second); });
  second = loop.call_at(when, [&] { second_ran = true; });
  loop.call_at(when + 20ms, [&] { loop.stop(); });
  std::this_thread::sleep_for(10ms);  // both are due when the loop starts
  loop.run();
  EXPECT_FALSE(second_ran);
}

TEST(Loop, TimersRunInTheOrderOfTheirTime) {
  EventLoop loop;
  std::vector<int> order;
  auto now = loop.now();
  loop.call_at(now + 20ms, [&] {
    order.push_back(2);
    loop.stop();
  });
  loop.call_at(now + 5ms, [&] { order.push_back(1); });
  loop.run();
  EXPECT_EQ(order, (std::vector{1, 2}));
}

// What a pending function owns may cancel timers and post while the loop is destroyed.
TEST(Loop, DestructionWithPendingWorkIsQuiet) {
  struct Canceller {
    EventLoop* loop;
    explicit Canceller(EventLoop* l) : loop(l) {}
    ~Canceller() {
      loop->cancel_timer(1);
      loop->post([] {});
    }
  };
  auto loop = std::make_unique<EventLoop>();
  auto* raw = loop.get();
  loop->call_at(loop->now() + 1h, [c = std::make_unique<Canceller>(raw)] {});
  loop->post([c = std::make_unique<Canceller>(raw)] {});
  loop.reset();
}

TEST(Sleep, StopEndsItEarly) {
  bool full = run_task([]() -> Task<bool> {
    std::stop_source stop;
    Loop& loop = *Loop::current();
    loop.post([stop]() mutable { stop.request_stop(); });
    co_return co_await sleep_for(1h, stop.get_token());
  }());
  EXPECT_FALSE(full);
}

TEST(OneShot, CarriesAValueFromAnotherThread) {
  int got = run_task([]() -> Task<int> {
    OneShot<int> one;
    std::thread other([one]() mutable { one.set(42); });
    int value = co_await one.wait();
    other.join();
    one.set(7);  // later values are ignored
    co_return value;
  }());
  EXPECT_EQ(got, 42);
}

TEST(Scope, CloseStopsAndWaitsForAll) {
  int ended = 0;
  auto body = [](int* out) -> Task<void> {
    Scope scope(*Loop::current());
    for (int i = 0; i < 10; ++i) {
      scope.spawn("sleeper", [out, token = scope.token()]() -> Task<void> {
        co_await sleep_for(1h, token);
        ++*out;
      });
    }
    co_await sleep_for(1ms);
    co_await scope.close();
    EXPECT_EQ(*out, 10);
    scope.spawn("late", [out]() -> Task<void> {
      ++*out;
      co_return;
    });
    co_await sleep_for(2ms);
  };
  run_task(body(&ended));
  EXPECT_EQ(ended, 10) << "a task spawned after close() must not run";
}

Task<void> mark(int* out) {
  *out = 1;
  co_await sleep_for(1ms);
  *out = 2;
}

TEST(Scope, StartRunsAtOnceUpToTheFirstWait) {
  int state = 0;
  auto body = [](int* out) -> Task<void> {
    Scope scope(*Loop::current());
    scope.start("mark", mark(out));
    EXPECT_EQ(*out, 1);
    co_await sleep_for(20ms);
    co_await scope.close();
  };
  run_task(body(&state));
  EXPECT_EQ(state, 2);
}

TEST(Event, WakesAllAndTimesOut) {
  int woken = 0;
  bool in_time = true;
  auto body = [](int* count, bool* timely) -> Task<void> {
    Event event;
    Scope scope(*Loop::current());
    for (int i = 0; i < 3; ++i) {
      scope.spawn("waiter", [&event, count]() -> Task<void> {
        if (co_await event.wait()) ++*count;
      });
    }
    co_await sleep_for(1ms);
    event.notify();
    while (*count < 3) co_await sleep_for(1ms);
    *timely = co_await event.wait_for(2ms);
    co_await scope.close();
  };
  run_task(body(&woken, &in_time));
  EXPECT_EQ(woken, 3);
  EXPECT_FALSE(in_time);
}

TEST(Mailbox, KeepsOrderRefusesWhenFullAndEnds) {
  std::vector<int> got;
  auto body = [](std::vector<int>* out) -> Task<void> {
    Mailbox<int> box(3);
    EXPECT_TRUE(box.push(1));
    EXPECT_TRUE(box.push(2));
    EXPECT_TRUE(box.push(3));
    EXPECT_FALSE(box.push(4));
    box.close();
    while (auto item = co_await box.pop()) out->push_back(*item);
  };
  run_task(body(&got));
  EXPECT_EQ(got, (std::vector{1, 2, 3}));
}

TEST(Pool, RunsAtMostItsNumberAtOnceAndComesBackToTheLoop) {
  auto body = []() -> Task<int> {
    Pool pool("test", 3);
    std::atomic<int> now = 0, most = 0, total = 0;
    Loop* home = Loop::current();
    Scope scope(*home);
    for (int i = 0; i < 12; ++i) {
      scope.spawn("job", [&, home]() -> Task<void> {
        co_await pool.run([&] {
          int n = ++now;
          for (int m = most; n > m && !most.compare_exchange_weak(m, n);) {
          }
          std::this_thread::sleep_for(2ms);
          --now;
        });
        EXPECT_EQ(Loop::current(), home);
        ++total;
      });
    }
    while (total < 12) co_await sleep_for(1ms);
    co_await scope.close();
    co_return most.load();
  };
  int most = run_task(body());
  EXPECT_LE(most, 3);
  EXPECT_GE(most, 1);
}

}  // namespace
}  // namespace lab
