// VolumeBinding: claims must exist; bound volumes must be reachable from the node; a claim that binds on first use
// waits for the scheduler's choice (the annotation volume.kubernetes.io/selected-node is set before the pod is bound).
#include <algorithm>

#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler::volume_binding {

namespace {

// Whether the volume's node affinity admits the node; the terms have the form of a pod's.
bool reachable(const json::Value& volume, const NodeInfo& node) {
  const auto& required = json::at(volume, "spec", "nodeAffinity", "required");
  if (required.is_null()) return true;
  json::Value as_pod;
  json::set(as_pod, required, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
  return parse_node_requirement(as_pod).matches(node.name(), node.labels());
}

}  // namespace

std::optional<std::string> prepare(Cycle& cycle) {
  cycle.volumes = {};
  for (const auto& name : cycle.pod.claims) {
    auto claim = cycle.world.claim(cycle.pod.ns, name);
    if (!claim) return "persistentvolumeclaim \"" + name + "\" not found";
    if (json::has(*claim, "metadata", "deletionTimestamp"))
      return "persistentvolumeclaim \"" + name + "\" is being deleted";
    if (auto volume_name = json::str(*claim, "spec", "volumeName"); !volume_name.empty()) {
      auto volume = cycle.world.volume(std::string(volume_name));
      if (!volume) return "persistentvolume \"" + std::string(volume_name) + "\" not found";
      cycle.volumes.bound.push_back(std::move(volume));
      continue;
    }
    auto storage = cycle.world.storage_class(std::string(json::str(*claim, "spec", "storageClassName")));
    if (!storage || json::str(*storage, "volumeBindingMode") != "WaitForFirstConsumer")
      return "pod has unbound immediate PersistentVolumeClaims";
    cycle.volumes.to_provision.push_back(name);
  }
  return std::nullopt;
}

Verdict filter(const Cycle& cycle, const NodeInfo& node) {
  for (const auto& volume : cycle.volumes.bound)
    if (!reachable(*volume, node)) return Verdict::never("node(s) had volume node affinity conflict");
  return {};
}

}  // namespace lab::scheduler::volume_binding
