// Disruption controller: counts for PodDisruptionBudgets how many pods may be evicted now.
#pragma once

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

class DisruptionController final : public QueueController {
 public:
  explicit DisruptionController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  std::int64_t expected_pods(const std::vector<client::ObjectPtr>& pods) const;
  client::Informer& budgets_;
  client::Informer& pods_;
  client::Informer& sets_;
  client::Informer& deployments_;
  client::Informer& stateful_sets_;
};

}  // namespace lab::controllers
