// DaemonSet controller: one pod on every node that fits, pinned to it by node affinity and placed by the scheduler.
#pragma once

#include "orchestrator/controllers/daemonset_plan.h"
#include "orchestrator/controllers/pod_control.h"
#include "orchestrator/controllers/revision_history.h"

namespace lab::controllers {

class DaemonSetController final : public QueueController {
 public:
  explicit DaemonSetController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> carry_out(client::ObjectPtr set, DaemonPlan plan, std::string hash);
  Task<Result<void>> update_status(client::ObjectPtr set, std::string hash);
  PodsByNode pods_of(const json::Value& set) const;
  void queue_all();

  client::Informer& sets_;
  client::Informer& pods_;
  client::Informer& nodes_;
  client::Informer& revisions_;
  std::map<std::string, std::pair<int, TimePoint>> failures_;  // by set and node: count, last removal
};

}  // namespace lab::controllers
