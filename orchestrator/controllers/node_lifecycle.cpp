#include "orchestrator/controllers/node_lifecycle.h"

#include <algorithm>

#include "base/log.h"
#include "orchestrator/api/time.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/parallel.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

static constexpr const char* kLeaseNamespace = "kube-node-lease";

NodeLifecycleController::NodeLifecycleController(Context& context, NodeLifecycleOptions options)
    : context_(context),
      options_(options),
      nodes_(context.informers.of(res::nodes)),
      leases_(context.informers.of(res::leases)),
      pods_(context.informers.of(res::pods)),
      queue_(context.loop) {
  nodes_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (!now) {
      seen_.erase(name_of(*old));
      return;
    }
    note_heartbeat(*now);
    bool changed = !old || json::at(*old, "spec", "taints") != json::at(*now, "spec", "taints") ||
                   json::at(*old, "spec", "unschedulable") != json::at(*now, "spec", "unschedulable");
    for (const auto& c : json::list(*now, "status", "conditions"))
      changed = changed || !condition_is(*old, json::str(c, "type"), json::str(c, "status"));
    if (changed) queue_.add(name_of(*now));
  });
  leases_.on_change([this](const ObjectPtr&, const ObjectPtr& now) {
    if (!now || ns_of(*now) != kLeaseNamespace) return;
    if (auto node = nodes_.get(name_of(*now))) {
      note_heartbeat(*node);
      if (condition_is(*node, "Ready", "Unknown")) queue_.add(name_of(*node));
    }
  });
}

void NodeLifecycleController::start(Scope& scope) {
  scope.spawn("node-lifecycle", run(scope.token()));
}

Task<void> NodeLifecycleController::run(std::stop_token stop) {
  for (auto* informer : {&nodes_, &leases_, &pods_})
    if (!co_await informer->wait_synced(stop)) co_return;
  Scope scope(context_.loop);
  scope.spawn("node-lifecycle ticks", [this, stop]() -> Task<void> {
    do look_around();
    while (co_await sleep_for(options_.monitor_period, stop));
  });
  auto check_one = [this](std::string name) { return check(std::move(name)); };
  co_await client::run_workers("node-lifecycle", queue_, 4, check_one, stop);
  co_await scope.close();
}

// It has its turn every monitor period. Much later means that it could hear nobody meanwhile: each node is given what was
// left of its grace, instead of all being lost at the moment in which everything goes on.
void NodeLifecycleController::allow_for_absence() {
  const TimePoint now = context_.loop.now();
  const Duration away = awake_ ? now - *awake_ : Duration::zero();
  awake_ = now;
  if (away <= 2 * options_.monitor_period) return;
  for (auto& [name, seen] : seen_) seen.at += away;
  log::info("this process stood still; the nodes' silence is not counted",
            {{"seconds", std::chrono::duration_cast<std::chrono::seconds>(away).count()}});
}

void NodeLifecycleController::look_around() {
  allow_for_absence();
  auto nodes = nodes_.list();
  all_silent_ = !nodes.empty() && std::none_of(nodes.begin(), nodes.end(),
                                               [](const ObjectPtr& node) { return condition_is(*node, "Ready"); });
  for (const auto& node : nodes) queue_.add(name_of(*node));
}

const NodeLifecycleController::Seen& NodeLifecycleController::note_heartbeat(const json::Value& node) {
  std::string name = name_of(node), heartbeat, renewal;
  if (const auto* ready = find_condition(node, "Ready")) heartbeat = json::str(*ready, "lastHeartbeatTime");
  if (auto lease = leases_.get(std::string(kLeaseNamespace) + "/" + name))
    renewal = json::str(*lease, "spec", "renewTime");
  auto [it, fresh] = seen_.try_emplace(name);
  Seen& seen = it->second;
  if (fresh || seen.heartbeat != heartbeat || seen.lease_renewal != renewal) {
    // Our own mark_unknown leaves lastHeartbeatTime as it is, so this is the node's doing.
    seen.at = context_.loop.now();
    seen.ever = seen.ever || !heartbeat.empty() || !renewal.empty();
    seen.heartbeat = std::move(heartbeat);
    seen.lease_renewal = std::move(renewal);
  }
  return seen;
}

Task<Result<void>> NodeLifecycleController::check(std::string name) {
  allow_for_absence();
  ObjectPtr node = nodes_.get(name);
  if (!node) co_return Result<void>();
  const Seen& seen = note_heartbeat(*node);
  Duration silence = context_.loop.now() - seen.at;
  Duration allowed = seen.ever ? options_.grace : options_.startup_grace;
  if (silence > allowed) {
    LAB_CO_CHECK(co_await mark_unknown(node, seen.ever));
    node = nodes_.get(name);
    if (!node) co_return Result<void>();
  } else {
    queue_.add_after(name, allowed - silence + std::chrono::milliseconds(1));
  }
  LAB_CO_CHECK(co_await put_taints(node));
  const auto* ready = find_condition(*node, "Ready");
  if (ready && json::str(*ready, "status") != "True") co_await mark_pods_not_ready(name);
  co_return Result<void>();
}

Task<Result<void>> NodeLifecycleController::mark_unknown(ObjectPtr node, bool ever) {
  WallTime now = context_.now();
  json::Value next = *node;
  json::Array conditions = json::list(*node, "status", "conditions");
  bool changed = false;
  for (const char* type : {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}) {
    const auto* current = condition_in(conditions, type);
    if (current && json::str(*current, "status") == "Unknown") continue;
    auto condition =
        make_condition(type, "Unknown", ever ? "NodeStatusUnknown" : "NodeStatusNeverUpdated",
                       ever ? "Kubelet stopped posting node status." : "Kubelet never posted node status.", now);
    auto heard = current ? json::at(*current, "lastHeartbeatTime") : json::at(*node, "metadata", "creationTimestamp");
    json::set(condition, std::move(heard), "lastHeartbeatTime");
    changed |= put_condition(conditions, std::move(condition));
  }
  if (!changed) co_return Result<void>();
  if (condition_is(*node, "Ready"))
    context_.events.event(*node, "Normal", "NodeNotReady", "Node " + name_of(*node) + " status is now: NodeNotReady");
  log::warn("node has fallen silent", {{"node", name_of(*node)}});
  json::set(next, std::move(conditions), "status", "conditions");
  auto written = co_await write_status(context_, nodes_, res::nodes, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

Task<Result<void>> NodeLifecycleController::put_taints(ObjectPtr node) {
  json::Array wanted = lifecycle_taints(*node, context_.now());
  if (all_silent_ && condition_is(*node, "Ready", "Unknown")) {
    for (auto it = wanted.begin(); it != wanted.end();)
      it = json::str(*it, "key") == "node.kubernetes.io/unreachable" && json::str(*it, "effect") == "NoExecute"
               ? wanted.erase(it)
               : std::next(it);
  }
  const auto& current = json::list(*node, "spec", "taints");
  auto same = [&] {
    if (wanted.size() != current.size()) return false;
    for (const auto& taint : current)
      if (std::find(wanted.begin(), wanted.end(), taint) == wanted.end()) return false;
    return true;
  };
  if (same()) co_return Result<void>();
  // With the resourceVersion: somebody else may be tainting at this moment.
  json::Value patch;
  json::set(patch, json::str(*node, "metadata", "resourceVersion"), "metadata", "resourceVersion");
  json::set(patch, std::move(wanted), "spec", "taints");
  auto patched =
      co_await context_.client.patch(res::nodes, "", name_of(*node), client::PatchType::kMerge, std::move(patch));
  if (!patched && patched.error().code == Code::kNotFound) co_return Result<void>();
  if (!patched) co_return std::unexpected(std::move(patched).error());
  nodes_.observe(std::move(*patched));
  co_return Result<void>();
}

// So that Services stop sending to pods nobody can vouch for.
Task<void> NodeLifecycleController::mark_pods_not_ready(std::string node) {
  std::vector<Task<Result<json::Value>>> writes;
  for (const auto& pod : pods_.by_index("node", node)) {
    if (!pod_ready(*pod)) continue;
    json::Value next = *pod;
    json::Array conditions = json::list(next, "status", "conditions");
    auto ready = *condition_in(conditions, "Ready");
    json::set(ready, "False", "status");
    json::set(ready, api::format_time(context_.now()), "lastTransitionTime");
    put_condition(conditions, std::move(ready));
    json::set(next, std::move(conditions), "status", "conditions");
    context_.events.event(*pod, "Warning", "NodeNotReady", "Node is not ready");
    writes.push_back(write_status(context_, pods_, res::pods, std::move(next)));
  }
  // A failure is tried again at the next look at the node.
  (void)co_await run_parallel(std::move(writes), 16);
}

TaintEvictionController::TaintEvictionController(Context& context)
    : QueueController(context, "taint-eviction", 8), nodes_(use(res::nodes)), pods_(use(res::pods)) {
  nodes_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (!now || (old && json::at(*old, "spec", "taints") == json::at(*now, "spec", "taints"))) return;
    for (const auto& pod : pods_.by_index("node", name_of(*now))) queue_.add(client::key_of(*pod));
  });
  pods_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (!now) {
      since_.erase(client::key_of(*old));
    } else if (!old || json::at(*old, "spec", "nodeName") != json::at(*now, "spec", "nodeName") ||
               json::at(*old, "spec", "tolerations") != json::at(*now, "spec", "tolerations")) {
      queue_.add(client::key_of(*now));
    }
  });
}

Task<Result<void>> TaintEvictionController::reconcile(std::string key) {
  ObjectPtr pod = pods_.get(key);
  if (!pod || is_terminating(*pod)) co_return Result<void>();
  ObjectPtr node = nodes_.get(std::string(json::str(*pod, "spec", "nodeName")));
  if (!node) co_return Result<void>();
  json::Array executing;
  WallTime now = context_.now(), began = now;
  for (const auto& taint : json::list(*node, "spec", "taints")) {
    if (json::str(taint, "effect") != "NoExecute") continue;
    executing.push_back(taint);
    // The clock survives a restart of this process where the taint says when it was put.
    if (auto added = time_at(json::at(taint, "timeAdded"))) began = std::min(began, *added);
  }
  auto allowed = toleration_time(*pod, executing);
  if (executing.empty() || !allowed) {
    if (since_.erase(key) > 0)
      context_.events.event(*pod, "Normal", "TaintManagerEviction", "Cancelling deletion of Pod " + key);
    co_return Result<void>();
  }
  auto& since = since_.try_emplace(key, began).first->second;
  WallTime due = since + *allowed;
  if (now < due) {
    queue_.add_after(key, due - now);
    co_return Result<void>();
  }
  context_.events.event(*pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod " + key);
  json::Value next = *pod;
  json::Array conditions = json::list(next, "status", "conditions");
  put_condition(conditions, make_condition("DisruptionTarget", "True", "DeletionByTaintManager",
                                           "Taint manager: deleting due to NoExecute taint", now));
  json::set(next, std::move(conditions), "status", "conditions");
  if (auto marked = co_await write_status(context_, pods_, res::pods, std::move(next));
      !marked && marked.error().code != Code::kNotFound)
    co_return std::unexpected(std::move(marked).error());
  co_return co_await delete_observed(context_, pods_, res::pods, pod);
}

}  // namespace lab::controllers
