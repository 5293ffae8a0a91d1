// Arithmetic of a rolling update, after kube-controller-manager's deployment controller. Pure functions over numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace lab::controllers {

// What a ReplicaSet contributes, as the Deployment sees it.
struct SetSize {
  std::int64_t wanted = 0;     // spec.replicas
  std::int64_t available = 0;  // status.availableReplicas
};

struct RollingLimits {
  std::int64_t surge = 0;        // pods above spec.replicas
  std::int64_t unavailable = 0;  // pods below it, at most spec.replicas
};
// Percentages of spec.replicas, surge rounded up, unavailable rounded down; not both zero (unavailable is 1 then).
// Both are 0 for Recreate.
RollingLimits rolling_limits(const json::Value& deployment);
std::int64_t wanted_replicas_of(const json::Value& deployment);  // spec.replicas, 1 when absent
bool is_rolling(const json::Value& deployment);

// How large the new ReplicaSet may be now. `all` includes it.
std::int64_t new_set_target(std::int64_t replicas, RollingLimits limits, bool rolling, std::int64_t new_wanted,
                            const std::vector<SetSize>& all);

// New sizes of the old ReplicaSets (oldest first): unhealthy pods go first, then as many as availability allows.
std::vector<std::int64_t> old_set_targets(std::int64_t replicas, RollingLimits limits, SetSize newest,
                                          const std::vector<SetSize>& old);

// Spreads a change of spec.replicas during a rollout over the active ReplicaSets in proportion to their size.
struct ProportionalSet {
  std::int64_t wanted = 0;
  std::int64_t max_replicas = 0;  // annotation max-replicas: the limit at the time of its last scaling; 0 unknown
  std::int64_t created = 0;       // to order equals
};
std::vector<std::int64_t> proportional_targets(std::int64_t replicas, RollingLimits limits, bool rolling,
                                               const std::vector<ProportionalSet>& active);

}  // namespace lab::controllers
