// What the scheduler writes: bindings, conditions, Events, and the removal of preempted pods.
#include "base/log.h"
#include "orchestrator/api/time.h"
#include "orchestrator/scheduler/scheduler_impl.h"

namespace lab::scheduler {

namespace {

constexpr Duration kProvisioning = std::chrono::minutes(10);
constexpr const char* kSelectedNode = "volume.kubernetes.io/selected-node";

const json::Value* find_condition(const json::Value& pod, std::string_view type) {
  for (const auto& c : json::list(pod, "status", "conditions"))
    if (json::str(c, "type") == type) return &c;
  return nullptr;
}

}  // namespace

Task<void> Scheduler::Impl::bind(QueuedPod queued, std::string node, std::vector<std::string> claims) {
  PodInfoPtr pod = queued.pod;
  auto done = co_await write_binding(pod, node, std::move(claims));
  --stats.binding;
  wake.notify();
  if (done) {
    ++stats.scheduled;
    recorder.event(*pod->object, "Normal", "Scheduled", "Successfully assigned " + pod->key + " to " + node);
    co_return;
  }
  if (done.error().code == Code::kCancelled) co_return;
  // The place is free again. What the API server shows may be newer than the error: bound elsewhere, or gone.
  if (cache.forget(pod->key)) tell(happened::kPodGone);
  auto current = cluster.pods.get(pod->key);
  if (!current || json::str(*current, "metadata", "uid") != pod->uid ||
      !json::str(*current, "spec", "nodeName").empty() || done.error().code == Code::kNotFound)
    co_return;
  ++stats.errors;
  report_failure(*pod, "SchedulerError", "binding rejected: " + done.error().message, "");
  queued.pod = make_pod_info(current);
  queue.retry(std::move(queued), loop.now());
  wake.notify();
}

Task<Result<void>> Scheduler::Impl::write_binding(PodInfoPtr pod, std::string node, std::vector<std::string> claims) {
  if (!claims.empty()) LAB_CO_CHECK(co_await provision_claims(pod, node, std::move(claims)));
  json::Value body{{"apiVersion", "v1"},
                   {"kind", "Binding"},
                   {"metadata", {{"name", pod->name}, {"namespace", pod->ns}, {"uid", pod->uid}}},
                   {"target", {{"kind", "Node"}, {"name", node}}}};
  auto done = co_await client.create_sub(client::res::pods, pod->ns, pod->name, "binding", std::move(body));
  if (!done) co_return std::unexpected(std::move(done).error());
  co_return Result<void>();
}

// Tells the provisioner the node and waits until the claims are bound.
Task<Result<void>> Scheduler::Impl::provision_claims(PodInfoPtr pod, std::string node, std::vector<std::string> names) {
  for (const auto& name : names) {
    json::Value body{{"metadata", {{"annotations", {{kSelectedNode, node}}}}}};
    auto done = co_await client.patch(client::res::persistentvolumeclaims, pod->ns, name, client::PatchType::kMerge,
                                      std::move(body));
    if (!done) co_return std::unexpected(std::move(done).error());
  }
  TimePoint end = loop.now() + kProvisioning;
  for (const auto& name : names) {
    for (;;) {
      auto claim = cluster.claims.get(pod->ns + "/" + name);
      if (claim && json::str(*claim, "status", "phase") == "Bound") break;
      if (loop.now() >= end)
        co_return fail(Code::kTimeout, "persistentvolumeclaim \"" + name + "\" was not bound within ten minutes");
      if (!cluster.pods.get(pod->key)) co_return fail(Code::kNotFound, "the pod is gone");
      co_await claims_changed.wait_for(std::chrono::seconds(5), scope.token());
      if (scope.token().stop_requested()) co_return fail(Code::kCancelled, "the scheduler stops");
    }
  }
  co_return Result<void>();
}

void Scheduler::Impl::report_failure(const PodInfo& pod, const std::string& reason, const std::string& message,
                                     const std::string& nominated_node) {
  recorder.event(*pod.object, "Warning", "FailedScheduling", message);
  const auto* condition = find_condition(*pod.object, "PodScheduled");
  bool told = condition && json::str(*condition, "status") == "False" && json::str(*condition, "reason") == reason &&
              json::str(*condition, "message") == message;
  bool nomination_told = nominated_node.empty() || nominated_node == pod.nominated_node;
  if (told && nomination_told) return;
  scope.spawn("pod condition", write_condition(std::make_shared<PodInfo>(pod), reason, message, nominated_node));
}

Task<void> Scheduler::Impl::write_condition(PodInfoPtr pod, std::string reason, std::string message,
                                            std::string nominated_node) {
  const auto* before = find_condition(*pod->object, "PodScheduled");
  bool was_false = before && json::str(*before, "status") == "False";
  std::string since = was_false ? std::string(json::str(*before, "lastTransitionTime")) : api::format_time(loop.wall());
  json::Value status{{"conditions", json::Array{{{"type", "PodScheduled"},
                                                 {"status", "False"},
                                                 {"reason", reason},
                                                 {"message", message},
                                                 {"lastProbeTime", nullptr},
                                                 {"lastTransitionTime", since}}}}};
  if (!nominated_node.empty()) json::set(status, nominated_node, "nominatedNodeName");
  json::Value body{{"metadata", {{"uid", pod->uid}}}, {"status", std::move(status)}};
  auto done = co_await client.patch(client::res::pods, pod->ns, pod->name, client::PatchType::kStrategic,
                                    std::move(body), "status");
  if (!done && done.error().code != Code::kNotFound && done.error().code != Code::kCancelled)
    log::warn("could not tell why a pod waits", {{"pod", pod->key}, {"reason", done.error().text()}});
}

std::string Scheduler::Impl::preempt(const Cycle& cycle, Diagnosis& why) {
  auto plan = plan_preemption(cycle, why, nominations, parse_budgets(cluster.budgets.list()));
  why.preemption = plan.message;
  if (!plan.victims) return {};
  const std::string& node = plan.victims->node->name();
  PodInfoPtr pod = make_pod_info(cycle.pod.object);
  // Those of lower priority that were promised this node have to look again.
  for (const auto& other : nominations.on(node))
    if (other->priority < pod->priority && other->key != pod->key) {
      nominations.remove(other->key);
      scope.spawn("clear nomination", clear_nomination(other));
    }
  nominations.set(pod, node);
  ++stats.preemptions;
  for (const auto& victim : plan.victims->pods)
    if (!victim->terminating) scope.spawn("preempt", evict(victim, pod, node));
  return node;
}

Task<void> Scheduler::Impl::evict(PodInfoPtr victim, PodInfoPtr by, std::string node) {
  json::Value body{
      {"metadata", {{"uid", victim->uid}}},
      {"status",
       {{"conditions", json::Array{{{"type", "DisruptionTarget"},
                                    {"status", "True"},
                                    {"reason", "PreemptionByScheduler"},
                                    {"message", options.name + ": preempting to accommodate a higher priority pod"},
                                    {"lastTransitionTime", api::format_time(loop.wall())}}}}}}};
  (void)co_await client.patch(client::res::pods, victim->ns, victim->name, client::PatchType::kStrategic,
                              std::move(body), "status");
  auto done = co_await client.remove(client::res::pods, victim->ns, victim->name, {.uid = victim->uid});
  if (done) {
    recorder.event(*victim->object, "Normal", "Preempted", "Preempted by pod " + by->uid + " on node " + node);
    co_return;
  }
  if (done.error().code == Code::kNotFound || done.error().code == Code::kConflict) co_return;
  // The pod keeps its turn: on its next attempt the victims are chosen anew.
  log::warn("preemption failed", {{"victim", victim->key}, {"reason", done.error().text()}});
  nominations.remove(by->key);
  tell(happened::kPodGone);
}

Task<void> Scheduler::Impl::clear_nomination(PodInfoPtr pod) {
  json::Value body{{"metadata", {{"uid", pod->uid}}}, {"status", {{"nominatedNodeName", nullptr}}}};
  (void)co_await client.patch(client::res::pods, pod->ns, pod->name, client::PatchType::kMerge, std::move(body),
                              "status");
}

}  // namespace lab::scheduler
