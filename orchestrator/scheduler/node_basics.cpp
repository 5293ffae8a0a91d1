// NodeUnschedulable, NodeName, TaintToleration, NodePorts.
#include <algorithm>

#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler {

Verdict node_unschedulable::filter(const Cycle& cycle, const NodeInfo& node) {
  if (!node.unschedulable()) return {};
  static const Taint kTaint{"node.kubernetes.io/unschedulable", "", "NoSchedule"};
  if (tolerates(cycle.pod.tolerations, kTaint)) return {};
  return Verdict::never("node(s) were unschedulable");
}

Verdict node_name::filter(const Cycle& cycle, const NodeInfo& node) {
  if (cycle.pod.node_name.empty() || cycle.pod.node_name == node.name()) return {};
  return Verdict::never("node(s) didn't match the requested node name");
}

Verdict taint_toleration::filter(const Cycle& cycle, const NodeInfo& node) {
  const Taint* taint = find_untolerated(node.taints(), cycle.pod.tolerations);
  if (!taint) return {};
  return Verdict::never("node(s) had untolerated taint {" + taint->key + ": " + taint->value + "}");
}

// The number of PreferNoSchedule taints that the pod does not tolerate; fewest is best.
std::int64_t taint_toleration::score(const Cycle& cycle, const NodeInfo& node) {
  return std::count_if(node.taints().begin(), node.taints().end(), [&](const Taint& taint) {
    return taint.effect == "PreferNoSchedule" && !tolerates(cycle.pod.tolerations, taint);
  });
}

void taint_toleration::normalize(const Cycle&, std::span<NodeScore> scores) {
  normalize_to_max(scores, true);
}

Verdict node_ports::filter(const Cycle& cycle, const NodeInfo& node) {
  for (const auto& wanted : cycle.pod.host_ports)
    for (const auto& used : node.used_ports())
      if (wanted.conflicts(used)) return Verdict::no("node(s) didn't have free ports for the requested pod ports");
  return {};
}

}  // namespace lab::scheduler
