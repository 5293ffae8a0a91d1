// Cycle: one attempt to place one pod: the pod, the nodes as they are, and what the plugins computed for them.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "orchestrator/scheduler/node_info.h"

namespace lab::scheduler {

// The rest of the cluster, asked when needed. Tests give maps. All functions are set.
struct Surroundings {
  std::function<const json::Object&(const std::string& ns)> namespace_labels;
  // Selectors of the services and controllers that a pod belongs to; empty: of none.
  std::function<std::vector<api::LabelSelector>(const PodInfo&)> owner_selectors;
  std::function<client::ObjectPtr(const std::string& ns, const std::string& name)> claim;
  std::function<client::ObjectPtr(const std::string& name)> volume;
  std::function<client::ObjectPtr(const std::string& name)> storage_class;
  std::function<std::size_t(const std::string& image)> nodes_with_image;
};

using Counts = std::unordered_map<std::string, std::int64_t>;

struct SpreadFilterState {
  struct Constraint {
    const SpreadConstraint* constraint;
    Counts pods;             // by topology value
    std::int64_t least = 0;  // over all domains
    bool counts_itself = false;
  };
  std::vector<Constraint> constraints;
};
struct SpreadScoreState {
  struct Constraint {
    SpreadConstraint constraint;
    Counts pods;  // by topology value; not for the host name, which is counted per node
    double weight = 1;
  };
  std::vector<Constraint> constraints;
  std::set<const NodeInfo*> ignored;  // lack a topology label
};

// Counts by "topology key=value".
struct AffinityFilterState {
  Counts existing_anti;   // placed pods that refuse this one
  Counts affinity, anti;  // placed pods that this one's terms mean
  bool matches_itself = false;
};

struct VolumeState {
  std::vector<client::ObjectPtr> bound;   // PersistentVolumes in use
  std::vector<std::string> to_provision;  // claims that wait for the node to be known
};

struct Cycle {
  Cycle(const PodInfo& p, const std::vector<const NodeInfo*>& n, const Surroundings& w) : pod(p), nodes(n), world(w) {}
  const PodInfo& pod;
  const std::vector<const NodeInfo*>& nodes;
  const Surroundings& world;

  SpreadFilterState spread;
  SpreadScoreState spread_score;
  AffinityFilterState affinity;
  Counts affinity_score;
  VolumeState volumes;
};

}  // namespace lab::scheduler
