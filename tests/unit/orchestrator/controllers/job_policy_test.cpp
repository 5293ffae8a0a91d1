// What a Job's policies say of failed pods and of indexes, without a cluster.
#include "orchestrator/controllers/job_policy.h"

#include <gtest/gtest.h>

#include "orchestrator/controllers/job_plan.h"

namespace lab::controllers {
namespace {

json::Value js(const std::string& text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value) << text;
  return value ? *value : json::Value();
}

// A failed pod of an index.
client::ObjectPtr failed(int index, int exit_code, int failed_before = 0, const std::string& more = "") {
  return std::make_shared<const json::Value>(js(
      R"({"metadata":{"name":"p","namespace":"ns","uid":"u)" + std::to_string(index) + std::to_string(failed_before) +
      R"(","creationTimestamp":"2024-01-01T00:00:00Z","finalizers":["batch.kubernetes.io/job-tracking"],"annotations":{
        "batch.kubernetes.io/job-completion-index":")" +
      std::to_string(index) + R"(","batch.kubernetes.io/job-index-failure-count":")" + std::to_string(failed_before) +
      R"("}},"status":{"phase":"Failed",)" + more +
      R"("containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":)" + std::to_string(exit_code) +
      R"(,"finishedAt":"2024-01-01T00:00:00Z"}}}]}})"));
}

json::Value indexed(const std::string& spec) {
  return js(R"({"metadata":{"name":"j","namespace":"ns"},"spec":{"completions":4,"parallelism":4,
    "completionMode":"Indexed","backoffLimit":2147483647,)" +
            spec + R"("template":{"spec":{"restartPolicy":"Never"}}}})");
}

const WallTime kNow = WallTime(std::chrono::seconds(1'704'067'200 + 3600));

TEST(JobPolicy, TheFirstRuleThatFitsDecides) {
  auto job = indexed(R"("podFailurePolicy":{"rules":[
    {"action":"Ignore","onPodConditions":[{"type":"DisruptionTarget","status":"True"}]},
    {"action":"FailJob","onExitCodes":{"containerName":"c","operator":"In","values":[3]}},
    {"action":"FailIndex","onExitCodes":{"operator":"NotIn","values":[3,4]}}]},)");
  auto ended = judge_failure(job, *failed(0, 3));
  EXPECT_EQ(ended.action, FailureVerdict::kFailJob);
  EXPECT_EQ(ended.why, "Container c for pod ns/p failed with exit code 3 matching FailJob rule at index 1");
  EXPECT_EQ(judge_failure(job, *failed(0, 4)).action, FailureVerdict::kCount);
  EXPECT_EQ(judge_failure(job, *failed(0, 5)).action, FailureVerdict::kFailIndex);
  auto evicted = failed(0, 3, 0, R"("conditions":[{"type":"DisruptionTarget","status":"True"}],)");
  EXPECT_EQ(judge_failure(job, *evicted).action, FailureVerdict::kIgnore);
}

TEST(JobPolicy, IgnoredFailuresAreNotCountedAndOneRuleEndsTheJob) {
  auto job = indexed(R"("podFailurePolicy":{"rules":[
    {"action":"Ignore","onExitCodes":{"operator":"In","values":[7]}},
    {"action":"FailJob","onExitCodes":{"operator":"In","values":[8]}}]},)");
  auto counts = count_job(job, {failed(0, 7), failed(1, 9)}, kNow);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_FALSE(job_failure(job, counts, kNow));
  counts = count_job(job, {failed(0, 7), failed(1, 8)}, kNow);
  ASSERT_TRUE(job_failure(job, counts, kNow));
  EXPECT_EQ(job_failure(job, counts, kNow)->reason, "PodFailurePolicy");
}

TEST(JobPolicy, EachIndexHasItsOwnLimit) {
  auto job = indexed(R"("backoffLimitPerIndex":1,)");
  auto counts = count_job(job, {failed(0, 1), failed(2, 1, 1)}, kNow);
  EXPECT_EQ(format_indexes(counts.failed_indexes), "2");
  EXPECT_EQ(free_indexes(job, counts, 9, kNow), (std::vector<std::int64_t>{0, 1, 3}));
  EXPECT_FALSE(job_failure(job, counts, kNow));
  // A moment after its failure an index waits, the others do not.
  std::optional<WallTime> next;
  const auto soon = WallTime(std::chrono::seconds(1'704'067'201));
  EXPECT_EQ(free_indexes(job, counts, 9, soon, &next), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(next, WallTime(std::chrono::seconds(1'704'067'210)));
  // All over, one of them badly.
  json::set(job, "0,1,3", "status", "completedIndexes");
  json::set(job, 3, "status", "succeeded");
  counts = count_job(job, {failed(2, 1, 1)}, kNow);
  ASSERT_TRUE(job_failure(job, counts, kNow));
  EXPECT_EQ(job_failure(job, counts, kNow)->reason, "FailedIndexes");
  EXPECT_EQ(job_pod_difference(job, counts), 0);
}

TEST(JobPolicy, TooManyFailedIndexesEndIt) {
  auto job = indexed(R"("backoffLimitPerIndex":0,"maxFailedIndexes":1,)");
  EXPECT_FALSE(job_failure(job, count_job(job, {failed(0, 1)}, kNow), kNow));
  auto failure = job_failure(job, count_job(job, {failed(0, 1), failed(3, 1)}, kNow), kNow);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->reason, "MaxFailedIndexesExceeded");
}

TEST(JobPolicy, SuccessIsWhatTheRulesSay) {
  auto job = indexed(R"("successPolicy":{"rules":[{"succeededIndexes":"0-2","succeededCount":2},
    {"succeededIndexes":"3"}]},)");
  EXPECT_FALSE(success_rule_met(job, {0}));
  EXPECT_EQ(success_rule_met(job, {0, 2}), "Matched rules at index 0");
  EXPECT_EQ(success_rule_met(job, {3}), "Matched rules at index 1");
  JobCounts counts;
  counts.completed_indexes = {3};
  counts.succeeded = 1;
  ASSERT_TRUE(job_success(job, counts));
  EXPECT_EQ(job_success(job, counts)->reason, "SuccessPolicy");
  EXPECT_FALSE(job_success(indexed(""), counts));
}

}  // namespace
}  // namespace lab::controllers
