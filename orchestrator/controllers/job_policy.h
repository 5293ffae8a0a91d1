// What a Job's podFailurePolicy, successPolicy and limits per index say of its pods. Pure functions.
// Sources: KEP-3329 (podFailurePolicy), KEP-3850 (backoffLimitPerIndex), KEP-3998 (successPolicy).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/io/loop.h"
#include "base/json.h"

namespace lab::controllers {

inline constexpr const char* kIndexFailures = "batch.kubernetes.io/job-index-failure-count";

// What is to become of a failed pod; `why` says by which rule, for kFailJob.
struct FailureVerdict {
  enum Action { kCount, kIgnore, kFailIndex, kFailJob } action = kCount;
  std::string why;
};
FailureVerdict judge_failure(const json::Value& job, const json::Value& pod);

// The rule of successPolicy that these indexes meet, as the condition's message names it.
std::optional<std::string> success_rule_met(const json::Value& job, const std::set<std::int64_t>& succeeded);

bool limits_per_index(const json::Value& job);
// Only pods in phase Failed are replaced; otherwise those that are on their way out as well.
bool replaces_failed_only(const json::Value& job);
// Somebody else's: spec.managedBy names another controller (KEP-4368).
bool managed_elsewhere(const json::Value& job);

// The failures of one index, as the last failed pod of it tells.
struct IndexFailures {
  std::int64_t count = 0;
  WallTime last{};
};

}  // namespace lab::controllers
