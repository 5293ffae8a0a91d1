#include "orchestrator/controllers/deployment_status.h"

#include <limits>

#include "orchestrator/api/time.h"
#include "orchestrator/controllers/deployment_rolling.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;

void put_deployment_condition(json::Value& status, std::string_view type, std::string_view state,
                              std::string_view reason, std::string_view message, WallTime now) {
  auto condition = make_condition(type, state, reason, message, now);
  json::set(condition, api::format_time(now), "lastUpdateTime");
  auto& slot = json::ensure(status, "conditions");
  if (!slot.is_array()) slot.emplace_array();
  auto& conditions = slot.get_array();
  if (const auto* old = condition_in(conditions, type)) {
    if (json::str(*old, "status") == state && json::str(*old, "reason") == reason) return;
    if (json::str(*old, "status") == state)
      json::set(condition, json::at(*old, "lastTransitionTime"), "lastTransitionTime");
    drop_condition(conditions, type);
  }
  conditions.push_back(std::move(condition));
}

json::Value deployment_status(const json::Value& deployment, const std::vector<ObjectPtr>& all, const ObjectPtr& newest,
                              WallTime now) {
  std::int64_t total = 0, ready = 0, available = 0;
  for (const auto& set : all) {
    total += json::num(*set, "status", "replicas");
    ready += json::num(*set, "status", "readyReplicas");
    available += json::num(*set, "status", "availableReplicas");
  }
  json::Value status = json::Object{};
  auto put_count = [&](const char* field, std::int64_t n) {
    if (n > 0) json::set(status, n, field);
  };
  json::set(status, json::num(deployment, "metadata", "generation"), "observedGeneration");
  put_count("replicas", total);
  put_count("updatedReplicas", newest ? json::num(*newest, "status", "replicas") : 0);
  put_count("readyReplicas", ready);
  put_count("availableReplicas", available);
  put_count("unavailableReplicas", total - available);
  put_count("collisionCount", json::num(deployment, "status", "collisionCount"));
  json::set(status, json::list(deployment, "status", "conditions"), "conditions");
  if (available >= wanted_replicas_of(deployment) - rolling_limits(deployment).unavailable)
    put_deployment_condition(status, "Available", "True", "MinimumReplicasAvailable",
                             "Deployment has minimum availability.", now);
  else
    put_deployment_condition(status, "Available", "False", "MinimumReplicasUnavailable",
                             "Deployment does not have minimum availability.", now);
  return status;
}

bool has_progress_deadline(const json::Value& deployment) {
  return json::has(deployment, "spec", "progressDeadlineSeconds") &&
         json::num(deployment, "spec", "progressDeadlineSeconds") != std::numeric_limits<std::int32_t>::max();
}

bool deployment_complete(const json::Value& deployment, const json::Value& status) {
  std::int64_t wanted = wanted_replicas_of(deployment);
  return json::num(status, "updatedReplicas") == wanted && json::num(status, "replicas") == wanted &&
         json::num(status, "availableReplicas") == wanted &&
         json::num(status, "observedGeneration") >= json::num(deployment, "metadata", "generation");
}

bool deployment_progressing(const json::Value& deployment, const json::Value& status) {
  const auto& old = json::at(deployment, "status");
  auto outdated = [](const json::Value& s) { return json::num(s, "replicas") - json::num(s, "updatedReplicas"); };
  return json::num(status, "updatedReplicas") > json::num(old, "updatedReplicas") || outdated(status) < outdated(old) ||
         json::num(status, "readyReplicas") > json::num(old, "readyReplicas") ||
         json::num(status, "availableReplicas") > json::num(old, "availableReplicas");
}

bool deployment_timed_out(const json::Value& deployment, const json::Value& status, WallTime now) {
  const auto* progressing = condition_in(json::list(status, "conditions"), "Progressing");
  if (!progressing) return false;
  auto reason = json::str(*progressing, "reason");
  if (reason == "NewReplicaSetAvailable") return false;
  if (reason == "ProgressDeadlineExceeded") return true;
  auto since = time_at(json::at(*progressing, "lastUpdateTime"));
  return since && *since + std::chrono::seconds(json::num(deployment, "spec", "progressDeadlineSeconds")) < now;
}

namespace {

void put_progressing(const json::Value& deployment, json::Value& status, const ObjectPtr& newest, WallTime now) {
  const auto* current = find_condition(deployment, "Progressing");
  std::string subject =
      newest ? "ReplicaSet \"" + name_of(*newest) + "\"" : "Deployment \"" + name_of(deployment) + "\"";
  // Complete, and known to be: only a new template can make it progress again.
  if (current && json::str(*current, "reason") == "NewReplicaSetAvailable" &&
      json::num(status, "replicas") == json::num(status, "updatedReplicas"))
    return;
  if (deployment_complete(deployment, status)) {
    put_deployment_condition(status, "Progressing", "True", "NewReplicaSetAvailable",
                             subject + " has successfully progressed.", now);
  } else if (deployment_progressing(deployment, status)) {
    // The reason may be the same, but the clock of the deadline starts anew.
    json::Value since =
        current && json::str(*current, "status") == "True" ? json::at(*current, "lastTransitionTime") : json::Value();
    if (auto* conditions = json::ensure(status, "conditions").if_array()) drop_condition(*conditions, "Progressing");
    put_deployment_condition(status, "Progressing", "True", "ReplicaSetUpdated", subject + " is progressing.", now);
    if (!since.is_null()) {
      auto& conditions = json::ensure(status, "conditions").as_array();
      json::set(conditions.back(), std::move(since), "lastTransitionTime");
    }
  } else if (deployment_timed_out(deployment, status, now)) {
    put_deployment_condition(status, "Progressing", "False", "ProgressDeadlineExceeded",
                             subject + " has timed out progressing.", now);
  }
}

}  // namespace

void put_rollout_conditions(const json::Value& deployment, json::Value& status, const std::vector<ObjectPtr>& all,
                            const ObjectPtr& newest, WallTime now) {
  if (has_progress_deadline(deployment))
    put_progressing(deployment, status, newest, now);
  else if (auto* conditions = json::ensure(status, "conditions").if_array())
    drop_condition(*conditions, "Progressing");

  const json::Value* failure = newest ? find_condition(*newest, "ReplicaFailure") : nullptr;
  for (const auto& set : all)
    if (!failure) failure = find_condition(*set, "ReplicaFailure");
  if (failure)
    put_deployment_condition(status, "ReplicaFailure", json::str(*failure, "status"), json::str(*failure, "reason"),
                             json::str(*failure, "message"), now);
  else if (auto* conditions = json::ensure(status, "conditions").if_array())
    drop_condition(*conditions, "ReplicaFailure");
}

}  // namespace lab::controllers
