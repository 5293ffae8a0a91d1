#include "orchestrator/scheduler/queue.h"

#include "tests/unit/orchestrator/scheduler/world.h"

namespace lab::scheduler {
namespace {

using namespace std::chrono_literals;
const TimePoint kStart{1000s};

PodInfoPtr pod(const char* name, int priority = 0) {
  return World::pod(name, "\"priority\": " + std::to_string(priority));
}
std::string pop(SchedulingQueue& q) {
  auto p = q.pop();
  return p ? p->pod->name : "";
}

TEST(Queue, ByPriorityThenAge) {
  SchedulingQueue q;
  q.add(pod("old"), kStart);
  q.add(pod("young"), kStart + 1s);
  q.add(pod("vip", 100), kStart + 2s);
  EXPECT_EQ(pop(q), "vip");
  EXPECT_EQ(pop(q), "old");
  EXPECT_EQ(pop(q), "young");
  EXPECT_EQ(pop(q), "");
}

TEST(Queue, UnschedulablePodsWaitForWhatHelps) {
  SchedulingQueue q;
  q.add(pod("p"), kStart);
  q.fail(*q.pop(), happened::kPodGone, kStart);
  q.happened(happened::kNodeTaints, kStart + 60s);
  EXPECT_EQ(q.sizes().unschedulable, 1u);
  q.happened(happened::kPodGone, kStart + 60s);
  EXPECT_EQ(q.sizes().active, 1u) << "its back-off is long over";
  EXPECT_EQ(pop(q), "p");
}

TEST(Queue, BackoffDoublesUpToTenSeconds) {
  SchedulingQueue q;
  TimePoint now = kStart;
  q.add(pod("p"), now);
  for (auto expected : {1s, 2s, 4s, 8s, 10s, 10s}) {
    q.fail(*q.pop(), happened::kPodGone, now);
    q.happened(happened::kPodGone, now);
    EXPECT_EQ(q.sizes().backoff, 1u);
    ASSERT_TRUE(q.next_due());
    EXPECT_EQ(*q.next_due() - now, expected);
    q.advance(now + expected - 1ms);
    EXPECT_EQ(q.sizes().active, 0u);
    now += expected;
    q.advance(now);
    EXPECT_EQ(q.sizes().active, 1u);
  }
}

TEST(Queue, NobodyWaitsLongerThanFiveMinutes) {
  SchedulingQueue q;
  q.add(pod("p"), kStart);
  q.fail(*q.pop(), happened::kPodGone, kStart);
  q.advance(kStart + 299s);
  EXPECT_EQ(pop(q), "");
  EXPECT_EQ(*q.next_due(), kStart + 300s);
  q.advance(kStart + 300s);
  EXPECT_EQ(pop(q), "p");
}

TEST(Queue, AChangedPodIsTriedAgain) {
  SchedulingQueue q;
  q.add(pod("p"), kStart);
  q.fail(*q.pop(), 0, kStart);
  q.add(pod("p", 7), kStart + 20s);
  auto p = q.pop();
  ASSERT_TRUE(p);
  EXPECT_EQ(p->pod->priority, 7);
  EXPECT_EQ(p->attempts, 1);
}

TEST(Queue, RefreshKeepsThePlace) {
  SchedulingQueue q;
  q.add(pod("p"), kStart);
  q.fail(*q.pop(), 0, kStart);
  q.refresh(pod("p", 7));
  EXPECT_EQ(q.sizes().unschedulable, 1u);
  q.refresh(pod("stranger"));
  EXPECT_FALSE(q.has("default/stranger"));
}

TEST(Queue, RemovedFromWhereverItIs) {
  SchedulingQueue q;
  q.add(pod("a"), kStart);
  q.add(pod("b"), kStart);
  q.add(pod("c"), kStart);
  q.fail(*q.pop(), 0, kStart);
  q.retry(*q.pop(), kStart);
  for (const char* key : {"default/a", "default/b", "default/c", "default/none"}) q.remove(key);
  auto sizes = q.sizes();
  EXPECT_EQ(sizes.active + sizes.backoff + sizes.unschedulable, 0u);
  EXPECT_FALSE(q.next_due());
}

}  // namespace
}  // namespace lab::scheduler
