#include "orchestrator/scheduler/plugin.h"

#include <algorithm>

namespace lab::scheduler {

namespace {

using namespace happened;

// In the order in which they are asked: the first refusal is the node's reason.
constexpr FilterPlugin kFilters[] = {
    {"NodeUnschedulable", nullptr, node_unschedulable::filter, kNodeAdded | kNodeTaints},
    {"NodeName", nullptr, node_name::filter, kNodeAdded},
    {"TaintToleration", nullptr, taint_toleration::filter, kNodeAdded | kNodeTaints},
    {"NodeAffinity", nullptr, node_affinity::filter, kNodeAdded | kNodeLabels},
    {"NodePorts", nullptr, node_ports::filter, kNodeAdded | kPodGone},
    {"NodeResourcesFit", nullptr, node_resources::filter, kNodeAdded | kNodeResources | kPodGone | kPodChanged},
    {"VolumeBinding", volume_binding::prepare, volume_binding::filter, kNodeAdded | kNodeLabels | kVolumes},
    {"PodTopologySpread", pod_topology_spread::prepare, pod_topology_spread::filter,
     kNodeAdded | kNodeLabels | kNodeTaints | kPodPlaced | kPodGone | kPodChanged},
    {"InterPodAffinity", inter_pod_affinity::prepare, inter_pod_affinity::filter,
     kNodeAdded | kNodeLabels | kPodPlaced | kPodGone | kPodChanged},
};

constexpr ScorePlugin kScores[] = {
    {"TaintToleration", 3, nullptr, taint_toleration::score, taint_toleration::normalize},
    {"NodeAffinity", 2, node_affinity::prepare_score, node_affinity::score, node_affinity::normalize},
    {"NodeResourcesFit", 1, nullptr, node_resources::score_least_allocated, nullptr},
    {"NodeResourcesBalancedAllocation", 1, node_resources::prepare_balanced, node_resources::score_balanced, nullptr},
    {"PodTopologySpread", 2, pod_topology_spread::prepare_score, pod_topology_spread::score,
     pod_topology_spread::normalize},
    {"InterPodAffinity", 2, inter_pod_affinity::prepare_score, inter_pod_affinity::score,
     inter_pod_affinity::normalize},
    {"ImageLocality", 1, image_locality::prepare_score, image_locality::score, nullptr},
};

}  // namespace

std::span<const FilterPlugin> filter_plugins() {
  return kFilters;
}
std::span<const ScorePlugin> score_plugins() {
  return kScores;
}

void normalize_to_max(std::span<NodeScore> scores, bool reverse) {
  std::int64_t max = 0;
  for (const auto& s : scores) max = std::max(max, s.score);
  for (auto& s : scores) {
    if (max > 0) s.score = s.score * kMaxScore / max;
    if (reverse) s.score = kMaxScore - s.score;
  }
}

}  // namespace lab::scheduler
