// What a Job's pods add up to, and what is to be done next. Pure functions.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/controllers/job_policy.h"

namespace lab::controllers {

inline constexpr const char* kTrackingFinalizer = "batch.kubernetes.io/job-tracking";
inline constexpr const char* kCompletionIndex = "batch.kubernetes.io/job-completion-index";

// Indexes as status.completedIndexes writes them: "1,3-5".
std::set<std::int64_t> parse_indexes(std::string_view text);
std::string format_indexes(const std::set<std::int64_t>& indexes);

struct JobCounts {
  std::vector<client::ObjectPtr> active;  // neither finished nor being deleted
  std::int64_t ready = 0, terminating = 0;
  std::int64_t succeeded = 0, failed = 0;              // what the status has counted, and what is new
  std::vector<std::string> new_succeeded, new_failed;  // uids that finished, not counted yet
  std::set<std::int64_t> completed_indexes, failed_indexes;
  std::set<std::int64_t> leaving_indexes;                // of pods that must be gone before they are replaced
  std::map<std::int64_t, IndexFailures> index_failures;  // where limits are per index
  std::optional<std::string> policy_failure;             // podFailurePolicy ends the Job: why
  std::optional<WallTime> last_failure;                  // of the latest failed pod
  std::int64_t restarts = 0;                             // of containers in active pods
};
JobCounts count_job(const json::Value& job, const std::vector<client::ObjectPtr>& pods, WallTime now);

bool is_indexed(const json::Value& job);
bool job_finished(const json::Value& job);  // Complete or Failed is True
std::optional<WallTime> job_finished_at(const json::Value& job);

// A condition's reason and message.
struct JobEnd {
  std::string reason, message;
};
// Why the Job has failed; nullopt when it has not.
std::optional<JobEnd> job_failure(const json::Value& job, const JobCounts& counts, WallTime now);
// Why the Job has succeeded: by its successPolicy, or as all completions are there.
std::optional<JobEnd> job_success(const json::Value& job, const JobCounts& counts);

// How many pods more (positive) or fewer (negative) there should be now.
std::int64_t job_pod_difference(const json::Value& job, const JobCounts& counts);
// Indexes that are neither over nor being worked on, lowest first. Where limits are per index, each waits for itself
// after a failure; `next` then says when the first of those that wait may go on.
std::vector<std::int64_t> free_indexes(const json::Value& job, const JobCounts& counts, std::size_t count, WallTime now,
                                       std::optional<WallTime>* next = nullptr);
// 10 s after the first failure, doubling to 10 min.
Duration job_backoff(std::int64_t failures);

}  // namespace lab::controllers
