// Taking the pods off a node before its daemons change, as kubectl drain does, and letting it have pods again.
// Blocking.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "bootstrap/common/cluster.h"

namespace lab::bootstrap::upgrade {

// True when the node was schedulable before.
Result<bool> cordon(Cluster& cluster, const std::string& node);
Result<void> uncordon(Cluster& cluster, const std::string& node);
// Evicts all pods but those of DaemonSets and the node's own (static pods), and waits until they are gone. Disruption
// budgets are waited for; kTimeout names what is left.
Result<void> drain(Cluster& cluster, const std::string& node, std::chrono::seconds limit,
                   const std::function<void(const std::string&)>& progress);

}  // namespace lab::bootstrap::upgrade
