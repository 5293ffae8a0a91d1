// Preemption: which pods of lower priority would have to go so that a pod fits, and on which node that hurts least
// (kube-scheduler's DefaultPreemption).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/scheduler/algorithm.h"

namespace lab::scheduler {

// A PodDisruptionBudget.
struct Budget {
  std::string ns;
  api::LabelSelector pods;
  std::int64_t allowed = 0;  // disruptions it still allows
};
std::vector<Budget> parse_budgets(const std::vector<client::ObjectPtr>& objects);

struct Victims {
  const NodeInfo* node = nullptr;
  std::vector<PodInfoPtr> pods;  // highest priority first
  std::size_t budget_violations = 0;
};

struct PreemptionPlan {
  std::optional<Victims> victims;
  std::string message;  // "preemption: ..." where there are none
};

// `cycle` has been prepared and placed without success, with `why` as the outcome.
PreemptionPlan plan_preemption(const Cycle& cycle, const Diagnosis& why, const Nominations& nominations,
                               const std::vector<Budget>& budgets);

}  // namespace lab::scheduler
