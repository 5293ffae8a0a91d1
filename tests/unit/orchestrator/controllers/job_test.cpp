#include "cluster.h"
#include "orchestrator/controllers/job_plan.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

json::Value job(const std::string& name, const std::string& spec) {
  return parse(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":")" + name + R"("},"spec":{)" + spec +
               R"("template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})");
}

class JobTest : public ControllersTest {
 protected:
  Task<bool> until_condition(std::string name, std::string type) {
    auto holds = [this, name, type]() -> Task<bool> {
      co_return condition_is(co_await get(res::jobs, "default", name), type);
    };
    bool done = co_await until(holds);
    if (!done) ADD_FAILURE() << json::dump(json::at(co_await get(res::jobs, "default", name), "status"));
    co_return done;
  }
};

TEST_F(JobTest, RunsToItsCompletionsAndCountsEachOnce) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value&) { return "Succeeded"; };
    co_await create(res::jobs, "default", job("sum", R"("completions":7,"parallelism":3,)"));
    EXPECT_TRUE(co_await until_condition("sum", "Complete"));
    auto done = co_await get(res::jobs, "default", "sum");
    EXPECT_EQ(json::num(done, "status", "succeeded"), 7);
    EXPECT_EQ(json::num(done, "status", "failed"), 0);
    EXPECT_TRUE(json::map(done, "status", "uncountedTerminatedPods").empty());
    EXPECT_TRUE(json::has(done, "status", "completionTime"));
    auto pods = co_await list(res::pods, "default");
    EXPECT_EQ(pods.size(), 7u);
    for (auto& pod : pods) EXPECT_FALSE(has_finalizer(pod, kTrackingFinalizer));
  };
  run(body);
}

TEST_F(JobTest, IndexedJobsDoEveryIndexOnce) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value&) { return "Succeeded"; };
    co_await create(res::jobs, "default", job("ix", R"("completions":4,"parallelism":2,"completionMode":"Indexed",)"));
    EXPECT_TRUE(co_await until_condition("ix", "Complete"));
    EXPECT_EQ(json::str(co_await get(res::jobs, "default", "ix"), "status", "completedIndexes"), "0-3");
    std::set<std::string> indexes;
    for (auto& pod : co_await list(res::pods, "default")) indexes.emplace(annotation_of(pod, kCompletionIndex));
    EXPECT_EQ(indexes, (std::set<std::string>{"0", "1", "2", "3"}));
  };
  run(body);
}

TEST_F(JobTest, FailsAtItsBackoffLimit) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value&) { return "Failed"; };
    co_await create(res::jobs, "default", job("bad", R"("backoffLimit":0,)"));
    EXPECT_TRUE(co_await until_condition("bad", "Failed"));
    auto done = co_await get(res::jobs, "default", "bad");
    EXPECT_EQ(json::str(*find_condition(done, "Failed"), "reason"), "BackoffLimitExceeded");
    EXPECT_EQ(json::num(done, "status", "failed"), 1);
  };
  run(body);
}

TEST_F(JobTest, EndsAtItsDeadlineAndTakesItsPodsAlong) {
  auto body = [this]() -> Task<void> {
    co_await create(res::jobs, "default", job("slow", R"("activeDeadlineSeconds":2,)"));
    EXPECT_TRUE(co_await until_condition("slow", "Failed"));
    auto done = co_await get(res::jobs, "default", "slow");
    EXPECT_EQ(json::str(*find_condition(done, "Failed"), "reason"), "DeadlineExceeded");
    EXPECT_TRUE((co_await list(res::pods, "default")).empty());
  };
  run(body);
}

TEST_F(JobTest, SuspendsAndResumes) {
  auto body = [this]() -> Task<void> {
    co_await create(res::jobs, "default", job("pause", R"("suspend":true,)"));
    EXPECT_TRUE(co_await until_condition("pause", "Suspended"));
    EXPECT_TRUE((co_await list(res::pods, "default")).empty());
    nodes_->fate = [](const json::Value&) { return "Succeeded"; };
    co_await patch(res::jobs, "default", "pause", R"({"spec":{"suspend":false}})");
    EXPECT_TRUE(co_await until_condition("pause", "Complete"));
  };
  run(body);
}

TEST_F(JobTest, DeletionLeavesNoPodBehind) {
  auto body = [this]() -> Task<void> {
    co_await create(res::jobs, "default", job("gone", R"("parallelism":3,"completions":3,)"));
    auto three = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default")).size() == 3; };
    EXPECT_TRUE(co_await until(three));
    client::DeleteOptions options;
    options.propagation = "Background";
    EXPECT_TRUE(co_await client_->remove(res::jobs, "default", "gone", options));
    auto none = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default")).empty(); };
    EXPECT_TRUE(co_await until(none));
  };
  run(body);
}

TEST_F(JobTest, FinishedJobsGoAfterTheirTime) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value&) { return "Succeeded"; };
    co_await create(res::jobs, "default", job("brief", R"("ttlSecondsAfterFinished":1,)"));
    EXPECT_TRUE(co_await until_condition("brief", "Complete"));
    EXPECT_TRUE(co_await until_gone(res::jobs, "default", "brief"));
    auto none = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default")).empty(); };
    EXPECT_TRUE(co_await until(none));
  };
  run(body);
}

TEST_F(JobTest, OneRuleOfItsSuccessPolicyIsEnough) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value& pod) {
      return annotation_of(pod, kCompletionIndex) == "1" ? "Succeeded" : "Running";
    };
    co_await create(res::jobs, "default", job("some", R"("completions":3,"parallelism":3,"completionMode":"Indexed",
      "successPolicy":{"rules":[{"succeededCount":1}]},)"));
    EXPECT_TRUE(co_await until_condition("some", "Complete"));
    auto done = co_await get(res::jobs, "default", "some");
    EXPECT_EQ(json::str(*find_condition(done, "Complete"), "reason"), "SuccessPolicy");
    EXPECT_EQ(json::str(done, "status", "completedIndexes"), "1");
    EXPECT_EQ((co_await list(res::pods, "default")).size(), 1u);
  };
  run(body);
}

TEST_F(JobTest, AnIndexThatFailsLetsTheOthersFinish) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value& pod) {
      return annotation_of(pod, kCompletionIndex) == "0" ? "Failed" : "Succeeded";
    };
    co_await create(res::jobs, "default", job("most", R"("completions":3,"parallelism":1,"completionMode":"Indexed",
      "backoffLimitPerIndex":0,)"));
    EXPECT_TRUE(co_await until_condition("most", "Failed"));
    auto done = co_await get(res::jobs, "default", "most");
    EXPECT_EQ(json::str(*find_condition(done, "Failed"), "reason"), "FailedIndexes");
    EXPECT_EQ(json::str(done, "status", "failedIndexes"), "0");
    EXPECT_EQ(json::str(done, "status", "completedIndexes"), "1,2");
  };
  run(body);
}

TEST_F(JobTest, PodsItLetsGoAreNoFailures) {
  auto body = [this]() -> Task<void> {
    co_await create(res::jobs, "default", job("nap", R"("parallelism":2,"completions":2,"backoffLimit":0,)"));
    auto two = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default")).size() == 2; };
    EXPECT_TRUE(co_await until(two));
    co_await patch(res::jobs, "default", "nap", R"({"spec":{"suspend":true}})");
    auto none = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default")).empty(); };
    EXPECT_TRUE(co_await until(none));
    nodes_->fate = [](const json::Value&) { return "Succeeded"; };
    co_await patch(res::jobs, "default", "nap", R"({"spec":{"suspend":false}})");
    EXPECT_TRUE(co_await until_condition("nap", "Complete"));
    EXPECT_EQ(json::num(co_await get(res::jobs, "default", "nap"), "status", "failed"), 0);
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
