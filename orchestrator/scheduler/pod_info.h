// PodInfo: what the scheduler needs of a pod, parsed once per version of the object. Immutable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/client/informer.h"
#include "orchestrator/scheduler/resources.h"
#include "orchestrator/scheduler/terms.h"

namespace lab::scheduler {

struct HostPort {
  std::string ip, protocol;
  std::int64_t port = 0;
  bool conflicts(const HostPort& other) const;
  bool operator==(const HostPort&) const = default;
};

struct PodInfo {
  client::ObjectPtr object;
  std::string key;  // "namespace/name"
  std::string ns, name, uid;
  std::string node_name;       // spec.nodeName; "" while it waits
  std::string nominated_node;  // status.nominatedNodeName
  std::int64_t priority = 0;
  bool terminating = false;
  bool gated = false;  // has scheduling gates
  bool may_preempt = true;
  std::string start_time;  // status.startTime, sorts as text

  Resources requests, requests_or_defaults;
  bool best_effort = true;  // asks for no CPU and no memory
  std::vector<HostPort> host_ports;
  std::vector<std::string> images;
  std::vector<std::string> claims;  // names of PersistentVolumeClaims
  std::vector<Toleration> tolerations;
  NodeRequirement node_requirement;
  std::vector<PreferredNodeTerm> preferred_nodes;
  AffinityTerms affinity, anti_affinity;
  std::vector<SpreadConstraint> spread;

  const json::Object& labels() const { return json::map(*object, "metadata", "labels"); }
};
using PodInfoPtr = std::shared_ptr<const PodInfo>;

PodInfoPtr make_pod_info(client::ObjectPtr pod);
// The same pod, placed.
PodInfoPtr on_node(const PodInfo& pod, std::string node_name);

bool is_terminal(const json::Value& pod);  // Succeeded or Failed: occupies nothing
// Removes what the scheduler does not read, before a cache keeps the object.
void trim_pod(json::Value& pod);

}  // namespace lab::scheduler
