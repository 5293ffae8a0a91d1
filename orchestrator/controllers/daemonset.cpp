#include "orchestrator/controllers/daemonset.h"

#include "orchestrator/controllers/deployment_history.h"
#include "orchestrator/controllers/node_fit.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/parallel.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

DaemonSetController::DaemonSetController(Context& context)
    : QueueController(context, "daemonset", 2),
      sets_(own(res::daemonsets)),
      pods_(use(res::pods)),
      nodes_(use(res::nodes)),
      revisions_(use(res::controllerrevisions)) {
  auto queue_owner = [this](const json::Value& object) {
    const auto* ref = controller_of(object);
    if (ref && json::str(*ref, "kind") == "DaemonSet")
      queue_.add(ns_of(object) + "/" + std::string(json::str(*ref, "name")));
  };
  for (auto* informer : {&pods_, &revisions_})
    informer->on_change([queue_owner](const ObjectPtr& old, const ObjectPtr& now) {
      if (old) queue_owner(*old);
      if (now) queue_owner(*now);
    });
  nodes_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    // Heartbeats change nothing here.
    bool same = old && now && labels_of(*old) == labels_of(*now) &&
                json::at(*old, "spec", "taints") == json::at(*now, "spec", "taints");
    if (!same) queue_all();
  });
}

void DaemonSetController::queue_all() {
  for (const auto& set : sets_.list()) queue_.add(client::key_of(*set));
}

PodsByNode DaemonSetController::pods_of(const json::Value& set) const {
  auto pods = pods_.by_index("controller", uid_of(set));
  sort_by_age(pods);
  PodsByNode out;
  for (auto& pod : pods) {
    std::string node = target_node(*pod);
    out[node].push_back(std::move(pod));
  }
  return out;
}

Task<Result<void>> DaemonSetController::reconcile(std::string key) {
  ObjectPtr set = sets_.get(key);
  if (!set) {
    std::erase_if(failures_, [&](const auto& entry) { return entry.first.starts_with(key + " "); });
    co_return Result<void>();
  }
  auto selector = api::LabelSelector::from_object(json::at(*set, "spec", "selector"));
  if (!selector || selector->empty()) {
    context_.events.event(*set, "Warning", "SelectingAll",
                          "This daemon set is selecting all pods. A non-empty selector is required.");
    co_return Result<void>();
  }
  ClaimRequest request{res::daemonsets, res::pods,
                       [&selector](const json::Value& pod) { return selector->matches(labels_of(pod)); }};
  LAB_CO_TRY(auto claimed, co_await claim(context_, pods_, set, request));
  if (is_terminating(*set)) co_return Result<void>();
  LAB_CO_TRY(auto history, co_await sync_history(context_, revisions_, res::daemonsets, set, *selector));
  std::string hash = history.current_hash();
  auto nodes = nodes_.list();
  auto outcome = co_await carry_out(set, plan_daemons(*set, nodes, pods_of(*set), hash), hash);
  if (outcome && json::str(*set, "spec", "updateStrategy", "type") != "OnDelete")
    outcome = co_await carry_out(set, plan_rolling_update(*set, nodes, pods_of(*set), hash, context_.now()), hash);
  if (outcome) {
    std::vector<std::string> live;
    for (const auto& pod : pods_.by_index("controller", uid_of(*set))) live.emplace_back(label_of(*pod, kRevisionHash));
    outcome = co_await trim_history(context_, revisions_, set, history, live);
  }
  LAB_CO_CHECK(co_await update_status(set, hash));
  co_return outcome;
}

Task<Result<void>> DaemonSetController::carry_out(ObjectPtr set, DaemonPlan plan, std::string hash) {
  // Pods that fail at once must not be restarted in a tight loop: 1 s, doubling to 15 min, per node.
  for (const auto& pod : plan.failed) {
    std::string slot = client::key_of(*set) + " " + target_node(*pod);
    auto& [count, last] = failures_[slot];
    Duration wait = count == 0 ? Duration::zero()
                               : std::min<Duration>(std::chrono::seconds(1) * (1 << std::min(count - 1, 10)),
                                                    std::chrono::minutes(15));
    TimePoint now = context_.loop.now();
    if (now < last + wait) {
      queue_.add_after(client::key_of(*set), last + wait - now);
      continue;
    }
    // Long quiet: it had recovered.
    count = count > 0 && now - last > std::max<Duration>(2 * wait, std::chrono::minutes(1)) ? 1 : count + 1;
    last = now;
    context_.events.event(
        *set, "Warning", "FailedDaemonPod",
        "Found failed daemon pod " + client::key_of(*pod) + " on node " + target_node(*pod) + ", will try to kill it");
    plan.remove.push_back(pod);
  }
  std::vector<Task<Result<void>>> deletions;
  for (const auto& pod : plan.remove) deletions.push_back(delete_pod(context_, pods_, set, pod));
  Result<void> first;
  for (auto& done : co_await run_parallel(std::move(deletions)))
    if (!done && first) first = std::move(done);
  auto start = [&](std::size_t i) {
    json::Value pod = pod_of_template(json::at(*set, "spec", "template"), res::daemonsets, *set);
    json::set(pod, hash, "metadata", "labels", kRevisionHash);
    if (auto generation = annotation_of(*set, "deprecated.daemonset.template.generation"); !generation.empty())
      json::set(pod, std::string(generation), "metadata", "labels", "pod-template-generation");
    auto& spec = json::ensure(pod, "spec");
    add_daemon_tolerations(spec);
    pin_to_node(spec, plan.start[i]);
    return create_pod(context_, pods_, set, std::move(pod));
  };
  auto started = co_await slow_start(plan.start.size(), start);
  co_return first ? started : first;
}

Task<Result<void>> DaemonSetController::update_status(ObjectPtr set, std::string hash) {
  auto [status, next_available] = daemon_status(*set, nodes_.list(), pods_of(*set), hash, context_.now());
  if (next_available)
    queue_.add_after(client::key_of(*set), *next_available - context_.now() + std::chrono::milliseconds(1));
  for (const char* kept : {"collisionCount", "conditions"})
    if (json::has(*set, "status", kept)) json::set(status, json::at(*set, "status", kept), kept);
  if (status == json::at(*set, "status")) co_return Result<void>();
  json::Value next = *set;
  json::set(next, std::move(status), "status");
  auto written = co_await write_status(context_, sets_, res::daemonsets, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

}  // namespace lab::controllers
