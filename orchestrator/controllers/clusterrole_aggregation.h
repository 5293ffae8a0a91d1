// ClusterRole aggregation: a ClusterRole with an aggregationRule gets the rules of those it selects.
#pragma once

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

class ClusterRoleAggregationController final : public QueueController {
 public:
  explicit ClusterRoleAggregationController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string name) override;
  client::Informer& roles_;
};

}  // namespace lab::controllers
