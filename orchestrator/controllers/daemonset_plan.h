// What a DaemonSet has to do on each node, and which pods a rolling update may replace now. Pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "orchestrator/client/informer.h"

namespace lab::controllers {

using PodsByNode = std::map<std::string, std::vector<client::ObjectPtr>>;  // each oldest first

struct DaemonPlan {
  std::vector<std::string> start;         // nodes to start a pod on
  std::vector<client::ObjectPtr> remove;  // pods
  std::vector<client::ObjectPtr> failed;  // of them, those that failed: to be removed with back-off
};
// Pods that are missing, in excess, finished, or on nodes where they must not be. `hash`: of the current template.
DaemonPlan plan_daemons(const json::Value& set, const std::vector<client::ObjectPtr>& nodes, const PodsByNode& pods,
                        const std::string& hash);

// Pods with an older template that may go now, and (with maxSurge) nodes that get their new pod beside the old one.
DaemonPlan plan_rolling_update(const json::Value& set, const std::vector<client::ObjectPtr>& nodes,
                               const PodsByNode& pods, const std::string& hash, WallTime now);

// status without conditions.
struct DaemonStatus {
  json::Value status;
  std::optional<WallTime> next_available;
};
DaemonStatus daemon_status(const json::Value& set, const std::vector<client::ObjectPtr>& nodes, const PodsByNode& pods,
                           const std::string& hash, WallTime now);

}  // namespace lab::controllers
