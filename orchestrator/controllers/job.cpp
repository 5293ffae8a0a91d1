#include "orchestrator/controllers/job.h"

#include <algorithm>

#include "orchestrator/api/time.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/parallel.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;
using std::chrono::seconds;

namespace {

json::Array& condition_list(json::Value& status) {
  auto& slot = json::ensure(status, "conditions");
  if (!slot.is_array()) slot.emplace_array();
  return slot.get_array();
}

void put_job_condition(json::Value& status, const char* type, bool state, std::string_view reason,
                       std::string_view message, WallTime now) {
  auto condition = make_condition(type, state ? "True" : "False", reason, message, now);
  json::set(condition, api::format_time(now), "lastProbeTime");
  put_condition(condition_list(status), std::move(condition));
}

bool is_true(const json::Value& status, const char* type) {
  const auto* c = condition_in(json::list(status, "conditions"), type);
  return c && json::str(*c, "status") == "True";
}

void put_count(json::Value& status, const char* field, std::int64_t n) {
  if (n == 0)
    json::erase(status, field);
  else
    json::set(status, n, field);
}

}  // namespace

JobController::JobController(Context& context)
    : QueueController(context, "job", 5), jobs_(own(res::jobs)), pods_(use(res::pods)) {
  auto queue_owner = [this](const json::Value& pod) {
    const auto* ref = controller_of(pod);
    if (ref && json::str(*ref, "kind") == "Job") queue_.add(ns_of(pod) + "/" + std::string(json::str(*ref, "name")));
  };
  pods_.on_change([queue_owner](const ObjectPtr& old, const ObjectPtr& now) {
    if (old) queue_owner(*old);
    if (now) queue_owner(*now);
  });
}

Task<Result<void>> JobController::release_finalizers(std::vector<ObjectPtr> pods) {
  std::vector<Task<Result<json::Value>>> patches;
  for (const auto& pod : pods) {
    json::Array rest;
    for (const auto& f : json::list(*pod, "metadata", "finalizers"))
      if (json::as_str(f) != kTrackingFinalizer) rest.push_back(f);
    json::Value patch;
    json::set(patch, uid_of(*pod), "metadata", "uid");
    json::set(patch, std::move(rest), "metadata", "finalizers");
    patches.push_back(context_.client.patch(res::pods, ns_of(*pod), name_of(*pod), client::PatchType::kMerge, patch));
  }
  auto done = co_await run_parallel(std::move(patches));
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (done[i]) {
      // The last finalizer of a pod that was being deleted: it is gone now, as the informer will tell.
      if (!is_terminating(*done[i])) pods_.observe(std::move(*done[i]));
    } else if (done[i].error().code == Code::kNotFound) {
      pods_.observe_deletion(client::key_of(*pods[i]), uid_of(*pods[i]));
    } else {
      co_return std::unexpected(std::move(done[i]).error());
    }
  }
  co_return Result<void>();
}

// Pods of a Job that is gone must not be held by a finalizer nobody will take off.
Task<Result<void>> JobController::release_orphans(std::string key) {
  auto [ns, name] = client::split_key(key);
  std::vector<ObjectPtr> held;
  for (const auto& pod : pods_.list_namespace(ns)) {
    if (!has_finalizer(*pod, kTrackingFinalizer)) continue;
    const auto* ref = controller_of(*pod);
    if (!ref || (json::str(*ref, "kind") == "Job" && json::str(*ref, "name") == name)) held.push_back(pod);
  }
  co_return co_await release_finalizers(std::move(held));
}

Task<Result<void>> JobController::reconcile(std::string key) {
  ObjectPtr job = jobs_.get(key);
  if (!job) co_return co_await release_orphans(key);
  if (managed_elsewhere(*job)) co_return Result<void>();
  auto selector = api::LabelSelector::from_object(json::at(*job, "spec", "selector"));
  if (!selector) co_return std::unexpected(std::move(selector).error());
  ClaimRequest request{res::jobs, res::pods,
                       [&selector](const json::Value& pod) { return selector->matches(labels_of(pod)); }};
  LAB_CO_TRY(auto pods, co_await claim(context_, pods_, job, request));
  WallTime now = context_.now();
  if (job_finished(*job) || is_terminating(*job)) {
    std::vector<ObjectPtr> held;
    for (const auto& pod : pods)
      if (has_finalizer(*pod, kTrackingFinalizer) && (pod_finished(*pod) || is_terminating(*pod))) held.push_back(pod);
    co_return co_await release_finalizers(std::move(held));
  }
  auto counts = count_job(*job, pods, now);
  json::Value status = json::at(*job, "status");
  if (!status.is_object()) status.emplace_object();
  if (!json::has(status, "startTime") && !json::flag(*job, "spec", "suspend"))
    json::set(status, api::format_time(now), "startTime");
  if (json::has(*job, "spec", "activeDeadlineSeconds"))
    if (auto started = time_at(json::at(status, "startTime"))) {
      auto due = *started + seconds(json::num(*job, "spec", "activeDeadlineSeconds"));
      if (due > now) queue_.add_after(key, due - now + std::chrono::milliseconds(10));
    }

  Result<void> managed;
  bool ending = is_true(status, "FailureTarget") || is_true(status, "SuccessCriteriaMet");
  auto failure = job_failure(*job, counts, now);
  if (auto success = job_success(*job, counts); !ending && success) {
    put_job_condition(status, "SuccessCriteriaMet", true, success->reason, success->message, now);
    ending = true;
  } else if (!ending && failure) {
    put_job_condition(status, "FailureTarget", true, failure->reason, failure->message, now);
    ending = true;
  }
  put_suspension(*job, status);
  if (ending)
    managed = co_await delete_pods(job, counts.active);
  else
    managed = co_await manage(job, counts);

  // Counters of the pods as they are after this.
  auto after = count_job(*job, pods_.by_index("controller", uid_of(*job)), now);
  put_count(status, "active", std::ssize(after.active));
  json::set(status, after.ready, "ready");
  json::set(status, after.terminating, "terminating");
  LAB_CO_TRY(json::Value written, co_await count_and_release(job, std::move(after), std::move(status)));
  (void)written;
  co_return managed;
}

void JobController::put_suspension(const json::Value& job, json::Value& status) {
  WallTime now = context_.now();
  if (json::flag(job, "spec", "suspend")) {
    if (!is_true(status, "Suspended")) {
      put_job_condition(status, "Suspended", true, "JobSuspended", "Job suspended", now);
      context_.events.event(job, "Normal", "Suspended", "Job suspended");
    }
    json::erase(status, "startTime");
  } else if (is_true(status, "Suspended")) {
    put_job_condition(status, "Suspended", false, "JobResumed", "Job resumed", now);
    json::set(status, api::format_time(now), "startTime");
    context_.events.event(job, "Normal", "Resumed", "Job resumed");
  }
}

// The end is told only when no pod is left that could still do something.
void JobController::put_end(const json::Value& job, const JobCounts& counts, json::Value& status) {
  WallTime now = context_.now();
  if (!counts.active.empty() || counts.terminating > 0) return;
  if (is_true(status, "SuccessCriteriaMet") && !is_true(status, "Complete")) {
    const auto why = *condition_in(json::list(status, "conditions"), "SuccessCriteriaMet");
    put_job_condition(status, "Complete", true, json::str(why, "reason"), json::str(why, "message"), now);
    json::set(status, api::format_time(now), "completionTime");
    context_.events.event(job, "Normal", "Completed", "Job completed");
  } else if (is_true(status, "FailureTarget") && !is_true(status, "Failed")) {
    const auto why = *condition_in(json::list(status, "conditions"), "FailureTarget");
    put_job_condition(status, "Failed", true, json::str(why, "reason"), json::str(why, "message"), now);
    context_.events.event(job, "Warning", std::string(json::str(why, "reason")),
                          std::string(json::str(why, "message")));
  }
}

Task<Result<void>> JobController::delete_pods(ObjectPtr job, std::vector<ObjectPtr> pods) {
  std::vector<Task<Result<void>>> deletions;
  for (const auto& pod : pods) deletions.push_back(delete_pod(context_, pods_, job, pod));
  for (auto& done : co_await run_parallel(std::move(deletions)))
    if (!done) co_return std::unexpected(std::move(done).error());
  co_return Result<void>();
}

Task<Result<void>> JobController::manage(ObjectPtr job, JobCounts counts) {
  std::int64_t difference = job_pod_difference(*job, counts);
  if (difference < 0) {
    // Those that have come least far go first.
    std::stable_sort(counts.active.begin(), counts.active.end(), [](const ObjectPtr& a, const ObjectPtr& b) {
      return std::pair(pod_ready(*a), -created_at(*a).time_since_epoch().count()) <
             std::pair(pod_ready(*b), -created_at(*b).time_since_epoch().count());
    });
    counts.active.resize(static_cast<std::size_t>(-difference));
    // Without the finalizer they are no failures: it was the Job that let them go.
    LAB_CO_CHECK(co_await release_finalizers(counts.active));
    co_return co_await delete_pods(job, std::move(counts.active));
  }
  if (difference == 0) co_return Result<void>();
  if (counts.last_failure && !limits_per_index(*job)) {
    WallTime due = *counts.last_failure + std::chrono::duration_cast<seconds>(job_backoff(counts.failed));
    if (due > context_.now()) {
      queue_.add_after(client::key_of(*job), due - context_.now() + std::chrono::milliseconds(10));
      co_return Result<void>();
    }
  }
  auto count = static_cast<std::size_t>(std::min<std::int64_t>(difference, 500));
  std::vector<std::int64_t> indexes;
  if (is_indexed(*job)) {
    std::optional<WallTime> next;
    indexes = free_indexes(*job, counts, count, context_.now(), &next);
    count = indexes.size();
    if (next) queue_.add_after(client::key_of(*job), *next - context_.now() + std::chrono::milliseconds(10));
  }
  auto make = [&](std::size_t i) {
    auto index = indexes.empty() ? std::nullopt : std::optional(indexes[i]);
    auto pod = pod_for(*job, index);
    if (index && limits_per_index(*job)) {
      auto failed = counts.index_failures.find(*index);
      auto before = failed == counts.index_failures.end() ? 0 : failed->second.count;
      json::set(pod, std::to_string(before), "metadata", "annotations", kIndexFailures);
    }
    return create_pod(context_, pods_, job, std::move(pod));
  };
  co_return co_await slow_start(count, make);
}

json::Value JobController::pod_for(const json::Value& job, std::optional<std::int64_t> index) const {
  json::Value pod = pod_of_template(json::at(job, "spec", "template"), res::jobs, job);
  json::Array finalizers = json::list(pod, "metadata", "finalizers");
  finalizers.push_back(json::Value(kTrackingFinalizer));
  json::set(pod, std::move(finalizers), "metadata", "finalizers");
  if (!index) return pod;
  std::string text = std::to_string(*index);
  json::set(pod, text, "metadata", "annotations", kCompletionIndex);
  json::set(pod, text, "metadata", "labels", kCompletionIndex);
  json::set(pod, name_of(job) + "-" + text + "-", "metadata", "generateName");
  json::set(pod, name_of(job) + "-" + text, "spec", "hostname");
  for (const char* kind : {"initContainers", "containers"}) {
    auto* containers = json::ensure(pod, "spec", kind).if_array();
    if (!containers) {
      json::erase(pod, "spec", kind);
      continue;
    }
    for (auto& container : *containers) {
      json::Array env = json::list(container, "env");
      env.push_back(json::Object{
          {"name", "JOB_COMPLETION_INDEX"},
          {"valueFrom", json::Object{{"fieldRef", json::Object{{"apiVersion", "v1"},
                                                               {"fieldPath", std::string("metadata.labels['") +
                                                                                 kCompletionIndex + "']"}}}}}});
      json::set(container, std::move(env), "env");
    }
  }
  return pod;
}

// The three steps of counting; each is safe to repeat.
Task<Result<json::Value>> JobController::count_and_release(ObjectPtr job, JobCounts counts, json::Value status) {
  auto pods = pods_.by_index("controller", uid_of(*job));
  auto still_held = [&](std::string_view uid) {
    return std::any_of(pods.begin(), pods.end(), [&](const ObjectPtr& pod) {
      return uid_of(*pod) == uid && has_finalizer(*pod, kTrackingFinalizer);
    });
  };
  for (auto [kind, fresh] : {std::pair{"succeeded", &counts.new_succeeded}, {"failed", &counts.new_failed}}) {
    json::Array uncounted;
    std::int64_t counted = json::num(status, kind);
    for (const auto& uid : json::list(status, "uncountedTerminatedPods", kind)) {
      if (still_held(json::as_str(uid)))
        uncounted.push_back(uid);
      else
        ++counted;
    }
    for (const auto& uid : *fresh) uncounted.push_back(json::Value(uid));
    put_count(status, kind, counted);
    json::ensure(status, "uncountedTerminatedPods");
    if (!json::at(status, "uncountedTerminatedPods").is_object())
      json::ensure(status, "uncountedTerminatedPods").emplace_object();
    if (uncounted.empty())
      json::erase(status, "uncountedTerminatedPods", kind);
    else
      json::set(status, std::move(uncounted), "uncountedTerminatedPods", kind);
  }
  if (is_indexed(*job)) json::set(status, format_indexes(counts.completed_indexes), "completedIndexes");
  if (limits_per_index(*job)) json::set(status, format_indexes(counts.failed_indexes), "failedIndexes");
  // Complete and Failed are final: the counters must have settled before.
  bool unsettled = !json::map(status, "uncountedTerminatedPods").empty();
  if (!unsettled) put_end(*job, counts, status);
  json::Value written = *job;
  if (status != json::at(*job, "status")) {
    json::set(written, status, "status");
    LAB_CO_TRY(written, co_await write_status(context_, jobs_, res::jobs, std::move(written)));
  }
  std::vector<ObjectPtr> held;
  for (const auto& pod : pods)
    if (has_finalizer(*pod, kTrackingFinalizer) && (pod_finished(*pod) || is_terminating(*pod))) held.push_back(pod);
  LAB_CO_CHECK(co_await release_finalizers(std::move(held)));
  if (unsettled) queue_.add(client::key_of(*job));
  co_return written;
}

TtlAfterFinishedController::TtlAfterFinishedController(Context& context)
    : QueueController(context, "ttl-after-finished", 2), jobs_(own(res::jobs)) {}

Task<Result<void>> TtlAfterFinishedController::reconcile(std::string key) {
  ObjectPtr job = jobs_.get(key);
  if (!job || is_terminating(*job) || !json::has(*job, "spec", "ttlSecondsAfterFinished")) co_return Result<void>();
  auto finished = job_finished_at(*job);
  if (!finished) co_return Result<void>();
  WallTime due = *finished + seconds(json::num(*job, "spec", "ttlSecondsAfterFinished")), now = context_.now();
  if (now < due) {
    queue_.add_after(key, due - now + std::chrono::milliseconds(10));
    co_return Result<void>();
  }
  client::DeleteOptions options;
  options.propagation = "Foreground";
  co_return co_await delete_observed(context_, jobs_, res::jobs, job, options);
}

}  // namespace lab::controllers
