#include "orchestrator/controllers/job_plan.h"

#include <algorithm>
#include <charconv>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
using std::chrono::seconds;

namespace {

std::int64_t number(std::string_view text, std::int64_t fallback = -1) {
  std::int64_t out = fallback;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

std::int64_t index_of(const json::Value& pod) {
  return number(annotation_of(pod, kCompletionIndex));
}

std::int64_t field_or(const json::Value& job, const char* field, std::int64_t fallback) {
  return json::has(job, "spec", field) ? json::num(job, "spec", field) : fallback;
}

std::optional<WallTime> ended_at(const json::Value& pod) {
  std::optional<WallTime> latest;
  for (const auto& status : json::list(pod, "status", "containerStatuses"))
    if (auto t = time_at(json::at(status, "state", "terminated", "finishedAt")); t && (!latest || *t > *latest))
      latest = t;
  if (latest) return latest;
  // A pod that never had a container: when it was last known to be well, or was let go.
  if (const auto* ready = find_condition(pod, "Ready"); ready && json::str(*ready, "status") == "False")
    if (auto t = time_at(json::at(*ready, "lastTransitionTime"))) return t;
  if (auto t = time_at(json::at(pod, "metadata", "deletionTimestamp"))) return t;
  return time_at(json::at(pod, "metadata", "creationTimestamp"));
}

// Each pod of an index carries how many failed before it.
void count_index_failure(const json::Value& job, const json::Value& pod, const FailureVerdict& verdict, WallTime ended,
                         JobCounts& counts) {
  const auto index = index_of(pod);
  if (index < 0 || index >= field_or(job, "completions", 1) || counts.completed_indexes.contains(index)) return;
  const bool ignored = verdict.action == FailureVerdict::kIgnore;
  const auto failures = std::max<std::int64_t>(number(annotation_of(pod, kIndexFailures), 0), 0) + (ignored ? 0 : 1);
  auto& known = counts.index_failures[index];
  if (failures >= known.count) known = {failures, std::max(known.last, ended)};
  if (verdict.action == FailureVerdict::kFailIndex || failures > json::num(job, "spec", "backoffLimitPerIndex"))
    counts.failed_indexes.insert(index);
}

}  // namespace

std::set<std::int64_t> parse_indexes(std::string_view text) {
  std::set<std::int64_t> out;
  while (!text.empty()) {
    auto part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    auto dash = part.find('-');
    std::int64_t first = number(part.substr(0, dash));
    std::int64_t last = dash == part.npos ? first : number(part.substr(dash + 1));
    for (std::int64_t i = std::max<std::int64_t>(first, 0); first >= 0 && i <= last; ++i) out.insert(i);
  }
  return out;
}

std::string format_indexes(const std::set<std::int64_t>& indexes) {
  std::string out;
  for (auto it = indexes.begin(); it != indexes.end();) {
    std::int64_t first = *it, last = first;
    for (++it; it != indexes.end() && *it == last + 1; ++it) last = *it;
    if (!out.empty()) out += ",";
    out += std::to_string(first);
    // Two neighbours are listed, three are a range.
    if (last == first + 1) out += "," + std::to_string(last);
    if (last > first + 1) out += "-" + std::to_string(last);
  }
  return out;
}

bool is_indexed(const json::Value& job) {
  return json::str(job, "spec", "completionMode") == "Indexed";
}

bool job_finished(const json::Value& job) {
  return condition_is(job, "Complete") || condition_is(job, "Failed");
}

std::optional<WallTime> job_finished_at(const json::Value& job) {
  for (const char* type : {"Complete", "Failed"})
    if (const auto* c = find_condition(job, type); c && json::str(*c, "status") == "True")
      return time_at(json::at(*c, "lastTransitionTime"));
  return std::nullopt;
}

JobCounts count_job(const json::Value& job, const std::vector<ObjectPtr>& pods, WallTime now) {
  JobCounts counts;
  std::set<std::string> uncounted;
  for (const char* kind : {"succeeded", "failed"})
    for (const auto& uid : json::list(job, "status", "uncountedTerminatedPods", kind))
      uncounted.emplace(json::as_str(uid));
  counts.succeeded = json::num(job, "status", "succeeded") +
                     std::ssize(json::list(job, "status", "uncountedTerminatedPods", "succeeded"));
  counts.failed =
      json::num(job, "status", "failed") + std::ssize(json::list(job, "status", "uncountedTerminatedPods", "failed"));
  counts.completed_indexes = parse_indexes(json::str(job, "status", "completedIndexes"));
  counts.failed_indexes = parse_indexes(json::str(job, "status", "failedIndexes"));
  const bool failed_only = replaces_failed_only(job);
  for (const auto& pod : pods) {
    auto phase = json::str(*pod, "status", "phase");
    bool succeeded = phase == "Succeeded";
    bool failed = phase == "Failed" || (is_terminating(*pod) && !succeeded && !failed_only);
    if (is_terminating(*pod) && !pod_finished(*pod)) {
      counts.terminating++;
      counts.leaving_indexes.insert(index_of(*pod));
      if (failed_only) continue;  // what it comes to is not known yet
    }
    if (!succeeded && !failed) {
      counts.active.push_back(pod);
      counts.ready += pod_ready(*pod);
      for (const char* kind : {"initContainerStatuses", "containerStatuses"})
        for (const auto& status : json::list(*pod, "status", kind))
          counts.restarts += json::num(status, "restartCount");
      continue;
    }
    if (failed) {
      auto ended = ended_at(*pod).value_or(now);
      if (!counts.last_failure || ended > *counts.last_failure) counts.last_failure = ended;
      auto verdict = judge_failure(job, *pod);
      if (verdict.action == FailureVerdict::kFailJob) counts.policy_failure = verdict.why;
      if (limits_per_index(job)) count_index_failure(job, *pod, verdict, ended, counts);
      if (verdict.action == FailureVerdict::kIgnore) continue;
    }
    // Without the finalizer it was counted by an earlier reconcile.
    if (!has_finalizer(*pod, kTrackingFinalizer) || uncounted.contains(uid_of(*pod))) continue;
    if (is_indexed(job)) {
      std::int64_t index = index_of(*pod);
      if (index < 0 || index >= field_or(job, "completions", 1)) continue;
      if (succeeded && !counts.completed_indexes.insert(index).second) continue;  // its index was done already
    }
    (succeeded ? counts.new_succeeded : counts.new_failed).push_back(uid_of(*pod));
  }
  counts.succeeded += std::ssize(counts.new_succeeded);
  counts.failed += std::ssize(counts.new_failed);
  for (auto index : counts.completed_indexes) counts.failed_indexes.erase(index);
  if (is_indexed(job)) counts.succeeded = std::ssize(counts.completed_indexes);
  return counts;
}

std::optional<JobEnd> job_failure(const json::Value& job, const JobCounts& counts, WallTime now) {
  if (counts.policy_failure) return JobEnd{"PodFailurePolicy", *counts.policy_failure};
  std::int64_t limit = field_or(job, "backoffLimit", 6);
  JobEnd backoff{"BackoffLimitExceeded", "Job has reached the specified backoff limit"};
  if (counts.failed > limit) return backoff;
  bool restarts_in_place = json::str(job, "spec", "template", "spec", "restartPolicy") == "OnFailure";
  if (restarts_in_place && (limit == 0 ? counts.restarts > 0 : counts.restarts >= limit)) return backoff;
  if (json::has(job, "spec", "activeDeadlineSeconds") && !json::flag(job, "spec", "suspend"))
    if (auto started = time_at(json::at(job, "status", "startTime"));
        started && now - *started >= seconds(json::num(job, "spec", "activeDeadlineSeconds")))
      return JobEnd{"DeadlineExceeded", "Job was active longer than specified deadline"};
  if (!limits_per_index(job) || counts.failed_indexes.empty()) return std::nullopt;
  const auto failed = std::ssize(counts.failed_indexes);
  if (json::has(job, "spec", "maxFailedIndexes") && failed > json::num(job, "spec", "maxFailedIndexes"))
    return JobEnd{"MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"};
  if (failed + std::ssize(counts.completed_indexes) >= field_or(job, "completions", 1))
    return JobEnd{"FailedIndexes", "Job has failed indexes"};
  return std::nullopt;
}

std::optional<JobEnd> job_success(const json::Value& job, const JobCounts& counts) {
  if (auto rule = success_rule_met(job, counts.completed_indexes)) return JobEnd{"SuccessPolicy", *rule};
  // A work queue: one success ends it, once the others have ended by themselves.
  const bool all = json::has(job, "spec", "completions") ? counts.succeeded >= json::num(job, "spec", "completions")
                                                         : counts.succeeded > 0 && counts.active.empty();
  if (!all) return std::nullopt;
  return JobEnd{"CompletionsReached", "Reached expected number of succeeded pods"};
}

std::int64_t job_pod_difference(const json::Value& job, const JobCounts& counts) {
  std::int64_t parallelism = field_or(job, "parallelism", 1), active = std::ssize(counts.active), wanted = parallelism;
  if (json::flag(job, "spec", "suspend"))
    wanted = 0;
  else if (json::has(job, "spec", "completions"))
    wanted = std::min(parallelism,
                      json::num(job, "spec", "completions") - counts.succeeded - std::ssize(counts.failed_indexes));
  else if (counts.succeeded > 0)
    wanted = std::min(active, parallelism);
  wanted = std::max<std::int64_t>(wanted, 0);
  // Those that are on their way out still take their place, so that parallelism is never exceeded.
  if (wanted > active) return std::max<std::int64_t>(0, wanted - active - counts.terminating);
  return wanted - active;
}

std::vector<std::int64_t> free_indexes(const json::Value& job, const JobCounts& counts, std::size_t count, WallTime now,
                                       std::optional<WallTime>* next) {
  std::set<std::int64_t> taken = counts.completed_indexes;
  taken.insert(counts.failed_indexes.begin(), counts.failed_indexes.end());
  if (replaces_failed_only(job)) taken.insert(counts.leaving_indexes.begin(), counts.leaving_indexes.end());
  for (const auto& pod : counts.active) taken.insert(index_of(*pod));
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < field_or(job, "completions", 1) && out.size() < count; ++i) {
    if (taken.contains(i)) continue;
    if (auto failures = counts.index_failures.find(i); failures != counts.index_failures.end()) {
      auto due = failures->second.last + std::chrono::duration_cast<seconds>(job_backoff(failures->second.count));
      if (due > now) {
        if (next && (!*next || due < **next)) *next = due;
        continue;
      }
    }
    out.push_back(i);
  }
  return out;
}

Duration job_backoff(std::int64_t failures) {
  if (failures <= 0) return Duration::zero();
  return std::min<Duration>(seconds(10) * (std::int64_t{1} << std::min<std::int64_t>(failures - 1, 10)), seconds(600));
}

}  // namespace lab::controllers
