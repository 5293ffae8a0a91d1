// Whether a pod may run on a node by name, selector, required affinity and taints. Pure functions.
#pragma once

#include "base/json.h"

namespace lab::controllers {

// spec.nodeSelector and requiredDuringSchedulingIgnoredDuringExecution.
bool matches_node_affinity(const json::Value& pod_spec, const json::Value& node);

// What the DaemonSet controller wants to know: whether a pod should be started there, and whether one that runs may
// stay (a NoSchedule taint forbids the first only).
struct DaemonFit {
  bool start = false, stay = false;
};
// `pod_spec` has its daemon tolerations already.
DaemonFit daemon_fit(const json::Value& pod_spec, const json::Value& node);

// The tolerations every DaemonSet pod gets.
void add_daemon_tolerations(json::Value& pod_spec);
// Binds the pod to a node through required node affinity on metadata.name, so that the scheduler places it.
void pin_to_node(json::Value& pod_spec, std::string_view node);
// The node a pod runs on or is pinned to; "" when neither.
std::string target_node(const json::Value& pod);

}  // namespace lab::controllers
