// Node lifecycle: notices nodes that have fallen silent, taints them, and evicts their pods.
//
// A node is heard from through its Lease in kube-node-lease or a change of its status; times are this process's
// monotonic clock since it saw the change, so clocks of the machines need not agree. Time in which this process itself
// stood still (a paused lab, a suspended machine) is nobody's silence. When no node at all is ready the
// fault is more likely here or in the network: then NoExecute taints are taken away, and nothing is evicted.
#pragma once

#include <map>
#include <unordered_map>

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

struct NodeLifecycleOptions {
  Duration monitor_period = std::chrono::seconds(5);
  Duration grace = std::chrono::seconds(40);          // silence after which conditions become Unknown
  Duration startup_grace = std::chrono::seconds(60);  // the same for a node that has never been heard from
};

class NodeLifecycleController final : public Controller {
 public:
  NodeLifecycleController(Context& context, NodeLifecycleOptions options);
  std::string_view name() const override { return "node-lifecycle"; }
  void start(Scope& scope) override;

 private:
  struct Seen {
    TimePoint at;
    bool ever = false;          // a heartbeat was seen, not only the object
    std::string lease_renewal;  // as written in the Lease
    std::string heartbeat;      // Ready's lastHeartbeatTime
  };
  Task<void> run(std::stop_token stop);
  Task<Result<void>> check(std::string name);
  Task<Result<void>> mark_unknown(client::ObjectPtr node, bool ever);
  Task<Result<void>> put_taints(client::ObjectPtr node);
  Task<void> mark_pods_not_ready(std::string node);
  void look_around();
  void allow_for_absence();
  const Seen& note_heartbeat(const json::Value& node);

  Context& context_;
  NodeLifecycleOptions options_;
  client::Informer& nodes_;
  client::Informer& leases_;
  client::Informer& pods_;
  client::WorkQueue queue_;
  std::map<std::string, Seen> seen_;
  std::optional<TimePoint> awake_;  // when this controller last had its turn
  bool all_silent_ = false;
};

// Deletes pods of nodes that carry NoExecute taints the pods do not tolerate, after their tolerationSeconds.
class TaintEvictionController final : public QueueController {
 public:
  explicit TaintEvictionController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  client::Informer& nodes_;
  client::Informer& pods_;
  std::unordered_map<std::string, WallTime> since_;  // pod key: when its eviction clock began
};

// The taints that follow from a node's conditions and spec.unschedulable, put in place of those of the same keys.
// Others are kept, and so is the timeAdded of a taint that stays.
json::Array lifecycle_taints(const json::Value& node, WallTime now);

// For how long a pod may stay beside these NoExecute taints: nullopt for ever, zero not at all.
std::optional<std::chrono::seconds> toleration_time(const json::Value& pod, const json::Array& taints);
bool tolerates(const json::Value& toleration, const json::Value& taint);

}  // namespace lab::controllers
