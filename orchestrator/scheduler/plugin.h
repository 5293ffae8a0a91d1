// Plugins: the filters that say where a pod may run and the scores that say where it runs best, after kube-scheduler's
// default profile (same names, order, weights and words).
//
// A plugin is a row of one of the two tables in plugins.cpp, its functions a small file of their own. Functions are
// pure: they look at a Cycle and a NodeInfo. prepare functions compute once per pod what the others share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/scheduler/cycle.h"

namespace lab::scheduler {

// What happened in the cluster that may let a waiting pod be placed. A set of bits.
using EventMask = std::uint32_t;
namespace happened {
inline constexpr EventMask kNodeAdded = 1, kNodeResources = 2, kNodeLabels = 4, kNodeTaints = 8;
inline constexpr EventMask kPodPlaced = 16, kPodGone = 32, kPodChanged = 64, kVolumes = 128;
inline constexpr EventMask kAnything = ~EventMask{0};
}  // namespace happened

struct Verdict {
  enum Kind {
    kFits,
    kUnschedulable,  // removing other pods may help
    kUnresolvable    // it does not
  } kind = kFits;
  std::vector<std::string> reasons;

  bool fits() const { return kind == kFits; }
  static Verdict no(std::string reason) { return {kUnschedulable, {std::move(reason)}}; }
  static Verdict never(std::string reason) { return {kUnresolvable, {std::move(reason)}}; }
};

struct FilterPlugin {
  std::string_view name;
  // A text where no node at all can do: the reason.
  std::optional<std::string> (*prepare)(Cycle&);
  Verdict (*filter)(const Cycle&, const NodeInfo&);
  EventMask retry_on;  // after these a pod that this plugin refused is tried again
};

struct NodeScore {
  const NodeInfo* node;
  std::int64_t score = 0;
};

inline constexpr std::int64_t kMaxScore = 100;

struct ScorePlugin {
  std::string_view name;
  std::int64_t weight;
  bool (*prepare)(Cycle&, std::span<const NodeInfo* const> feasible);  // null: always; false: nothing to say
  std::int64_t (*score)(const Cycle&, const NodeInfo&);
  void (*normalize)(const Cycle&, std::span<NodeScore>);  // to 0..kMaxScore; null: scores are already
};

std::span<const FilterPlugin> filter_plugins();
std::span<const ScorePlugin> score_plugins();

// Scales so that the greatest becomes kMaxScore; `reverse`: the least is best.
void normalize_to_max(std::span<NodeScore> scores, bool reverse);

// One header for all: each is defined in the file of its name.
namespace node_unschedulable {
Verdict filter(const Cycle&, const NodeInfo&);
}
namespace node_name {
Verdict filter(const Cycle&, const NodeInfo&);
}
namespace taint_toleration {
Verdict filter(const Cycle&, const NodeInfo&);
std::int64_t score(const Cycle&, const NodeInfo&);
void normalize(const Cycle&, std::span<NodeScore>);
}  // namespace taint_toleration
namespace node_affinity {
Verdict filter(const Cycle&, const NodeInfo&);
bool prepare_score(Cycle&, std::span<const NodeInfo* const>);
std::int64_t score(const Cycle&, const NodeInfo&);
void normalize(const Cycle&, std::span<NodeScore>);
}  // namespace node_affinity
namespace node_ports {
Verdict filter(const Cycle&, const NodeInfo&);
}
namespace node_resources {
Verdict filter(const Cycle&, const NodeInfo&);
std::int64_t score_least_allocated(const Cycle&, const NodeInfo&);
bool prepare_balanced(Cycle&, std::span<const NodeInfo* const>);
std::int64_t score_balanced(const Cycle&, const NodeInfo&);
}  // namespace node_resources
namespace volume_binding {
std::optional<std::string> prepare(Cycle&);
Verdict filter(const Cycle&, const NodeInfo&);
}  // namespace volume_binding
namespace pod_topology_spread {
std::optional<std::string> prepare(Cycle&);
Verdict filter(const Cycle&, const NodeInfo&);
bool prepare_score(Cycle&, std::span<const NodeInfo* const>);
std::int64_t score(const Cycle&, const NodeInfo&);
void normalize(const Cycle&, std::span<NodeScore>);
}  // namespace pod_topology_spread
namespace inter_pod_affinity {
std::optional<std::string> prepare(Cycle&);
Verdict filter(const Cycle&, const NodeInfo&);
bool prepare_score(Cycle&, std::span<const NodeInfo* const>);
std::int64_t score(const Cycle&, const NodeInfo&);
void normalize(const Cycle&, std::span<NodeScore>);
}  // namespace inter_pod_affinity
namespace image_locality {
bool prepare_score(Cycle&, std::span<const NodeInfo* const>);
std::int64_t score(const Cycle&, const NodeInfo&);
}  // namespace image_locality

}  // namespace lab::scheduler
