#include "orchestrator/controllers/replicaset.h"

#include <unordered_map>

#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/parallel.h"
#include "orchestrator/controllers/replica_ranking.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

// At most so many pods are made or deleted before the state is looked at anew.
constexpr std::int64_t kBurst = 500;

std::int64_t wanted_replicas(const json::Value& set) {
  return json::has(set, "spec", "replicas") ? json::num(set, "spec", "replicas") : 1;
}

}  // namespace

ReplicaSetController::ReplicaSetController(Context& context, client::Resource kind)
    : QueueController(context, kind == res::replicasets ? "replicaset" : "replicationcontroller", 5),
      kind_(kind),
      sets_(own(kind)),
      pods_(use(res::pods)) {
  pods_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) { pod_changed(old, now); });
}

api::LabelSelector ReplicaSetController::selector_of(const json::Value& set) const {
  if (kind_ == res::replicationcontrollers) return api::LabelSelector::from_map(json::map(set, "spec", "selector"));
  // The server has validated it; what cannot be read selects nothing.
  return api::LabelSelector::from_object(json::at(set, "spec", "selector"))
      .value_or(api::LabelSelector::from_map(json::empty_object()));
}

void ReplicaSetController::queue_owner(const json::Value& pod, bool urgent) {
  const auto* ref = controller_of(pod);
  if (!ref || json::str(*ref, "kind") != kind_.kind) return;
  std::string key = ns_of(pod) + "/" + std::string(json::str(*ref, "name"));
  auto set = sets_.get(key);
  if (!set) return;
  // Each look costs time in proportion to the replicas, so news about many pods of a large set are gathered a little.
  auto gather = std::chrono::microseconds(std::min<std::int64_t>(wanted_replicas(*set) * 100, 50'000));
  if (urgent || gather < std::chrono::milliseconds(2))
    queue_.add(key);
  else
    queue_.add_after(key, gather);
}

void ReplicaSetController::pod_changed(const ObjectPtr& old, const ObjectPtr& now) {
  if (old && now && controller_of(*old) && !controller_of(*now)) queue_owner(*old, true);
  const auto& pod = now ? *now : *old;
  if (controller_of(pod)) return queue_owner(pod, !now);
  if (!now) return;
  // An orphan: some set may want to adopt it. Only when that can have become true.
  if (old && labels_of(*old) == labels_of(*now) && !controller_of(*old)) return;
  for (const auto& set : sets_.list_namespace(ns_of(pod)))
    if (selector_of(*set).matches(labels_of(pod))) queue_.add(client::key_of(*set));
}

Task<Result<void>> ReplicaSetController::reconcile(std::string key) {
  ObjectPtr set = sets_.get(key);
  if (!set) co_return Result<void>();
  auto selector = selector_of(*set);
  ClaimRequest request{kind_, res::pods,
                       [&selector](const json::Value& pod) { return selector.matches(labels_of(pod)); }};
  LAB_CO_TRY(auto claimed, co_await claim(context_, pods_, set, request));
  std::vector<ObjectPtr> active;
  for (auto& pod : claimed)
    if (pod_active(*pod)) active.push_back(std::move(pod));
  Result<void> managed;
  if (!is_terminating(*set)) {
    managed = co_await manage(set, active);
    active.clear();
    for (auto& pod : pods_.by_index("controller", uid_of(*set)))
      if (pod_active(*pod)) active.push_back(std::move(pod));
  }
  LAB_CO_CHECK(co_await update_status(set, active, managed));
  co_return managed;
}

Task<Result<void>> ReplicaSetController::manage(ObjectPtr set, std::vector<ObjectPtr> active) {
  auto missing = wanted_replicas(*set) - static_cast<std::int64_t>(active.size());
  if (missing > 0) {
    auto make = [&](std::size_t) {
      return create_pod(context_, pods_, set, pod_of_template(json::at(*set, "spec", "template"), kind_, *set));
    };
    if (missing > kBurst) queue_.add(client::key_of(*set));
    co_return co_await slow_start(static_cast<std::size_t>(std::min(missing, kBurst)), make);
  }
  if (missing == 0) co_return Result<void>();
  std::vector<Task<Result<void>>> deletions;
  auto count = static_cast<std::size_t>(std::min(-missing, kBurst));
  for (const auto& pod : choose_for_deletion(*set, std::move(active), count))
    deletions.push_back(delete_pod(context_, pods_, set, pod));
  Result<void> first;
  for (auto& outcome : co_await run_parallel(std::move(deletions)))
    if (!outcome && first) first = std::move(outcome);
  co_return first;
}

std::vector<ObjectPtr> ReplicaSetController::choose_for_deletion(const json::Value& set, std::vector<ObjectPtr> active,
                                                                 std::size_t count) const {
  if (count >= active.size()) return active;
  // Neighbours are pods of all sets with the same owner, so that a rollout spreads what is left over the nodes.
  std::unordered_map<std::string, int> per_node;
  auto count_nodes = [&](const std::vector<ObjectPtr>& pods) {
    for (const auto& pod : pods)
      if (pod_active(*pod)) per_node[std::string(json::str(*pod, "spec", "nodeName"))]++;
  };
  if (const auto* owner = controller_of(set)) {
    for (const auto& sibling : sets_.by_index("controller", std::string(json::str(*owner, "uid"))))
      count_nodes(pods_.by_index("controller", uid_of(*sibling)));
  } else {
    count_nodes(active);
  }
  std::vector<RankedPod> ranked;
  for (auto& pod : active) {
    int neighbours = per_node[std::string(json::str(*pod, "spec", "nodeName"))];
    ranked.push_back({std::move(pod), neighbours});
  }
  rank_for_deletion(ranked, context_.now());
  std::vector<ObjectPtr> chosen;
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(std::move(ranked[i].pod));
  return chosen;
}

ReplicaCounts count_replicas(const json::Value& set, const std::vector<ObjectPtr>& active, WallTime now) {
  ReplicaCounts counts;
  const auto& template_labels = json::map(set, "spec", "template", "metadata", "labels");
  auto min_ready = json::num(set, "spec", "minReadySeconds");
  for (const auto& pod : active) {
    counts.replicas++;
    const auto& labels = labels_of(*pod);
    bool fully = true;
    for (const auto& label : template_labels) {
      const auto* value = labels.if_contains(label.key());
      fully = fully && value && *value == label.value();
    }
    counts.fully_labeled += fully;
    if (!pod_ready(*pod)) continue;
    counts.ready++;
    auto available = pod_available_at(*pod, min_ready);
    if (!available) continue;
    if (*available <= now)
      counts.available++;
    else if (!counts.next_available || *available < *counts.next_available)
      counts.next_available = available;
  }
  return counts;
}

Task<Result<void>> ReplicaSetController::update_status(ObjectPtr set, std::vector<ObjectPtr> active,
                                                       Result<void> managed) {
  WallTime now = context_.now();
  auto counts = count_replicas(*set, active, now);
  if (counts.next_available)
    queue_.add_after(client::key_of(*set), *counts.next_available - now + std::chrono::milliseconds(1));
  json::Value next = *set;
  auto& status = json::ensure(next, "status");
  json::set(status, counts.replicas, "replicas");
  json::set(status, json::num(*set, "metadata", "generation"), "observedGeneration");
  // Zero counters are absent, as in the API's own encoding.
  auto put_count = [&](const char* field, std::int64_t n) {
    if (n == 0)
      json::erase(status, field);
    else
      json::set(status, n, field);
  };
  put_count("fullyLabeledReplicas", counts.fully_labeled);
  put_count("readyReplicas", counts.ready);
  put_count("availableReplicas", counts.available);
  json::Array conditions = json::list(*set, "status", "conditions");
  if (managed) {
    drop_condition(conditions, "ReplicaFailure");
  } else if (!condition_in(conditions, "ReplicaFailure")) {
    // The first failure is kept: each names another pod, and rewriting it would bring the key back at once.
    bool creating = wanted_replicas(*set) > static_cast<std::int64_t>(active.size());
    put_condition(conditions, make_condition("ReplicaFailure", "True", creating ? "FailedCreate" : "FailedDelete",
                                             managed.error().message, now));
  }
  if (conditions.empty())
    json::erase(status, "conditions");
  else
    json::set(status, std::move(conditions), "conditions");
  if (status == json::at(*set, "status")) co_return Result<void>();
  auto written = co_await write_status(context_, sets_, kind_, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

}  // namespace lab::controllers
