// NodeAffinity: spec.nodeSelector, required and preferred node affinity.
#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler::node_affinity {

Verdict filter(const Cycle& cycle, const NodeInfo& node) {
  if (cycle.pod.node_requirement.matches(node.name(), node.labels())) return {};
  return Verdict::never("node(s) didn't match Pod's node affinity/selector");
}

bool prepare_score(Cycle& cycle, std::span<const NodeInfo* const>) {
  return !cycle.pod.preferred_nodes.empty();
}

std::int64_t score(const Cycle& cycle, const NodeInfo& node) {
  std::int64_t out = 0;
  for (const auto& preferred : cycle.pod.preferred_nodes)
    if (preferred.term.matches(node.name(), node.labels())) out += preferred.weight;
  return out;
}

void normalize(const Cycle&, std::span<NodeScore> scores) {
  normalize_to_max(scores, false);
}

}  // namespace lab::scheduler::node_affinity
