#include "orchestrator/controllers/deployment_rolling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

std::int64_t wanted_replicas_of(const json::Value& deployment) {
  return json::has(deployment, "spec", "replicas") ? json::num(deployment, "spec", "replicas") : 1;
}

bool is_rolling(const json::Value& deployment) {
  return json::str(deployment, "spec", "strategy", "type") != "Recreate";
}

RollingLimits rolling_limits(const json::Value& deployment) {
  if (!is_rolling(deployment)) return {};
  std::int64_t replicas = wanted_replicas_of(deployment);
  const auto& rolling = json::at(deployment, "spec", "strategy", "rollingUpdate");
  static const json::Value quarter("25%");
  auto given = [&](const char* field) -> const json::Value& {
    return json::has(rolling, field) ? json::at(rolling, field) : quarter;
  };
  RollingLimits limits{scaled_value(given("maxSurge"), replicas, true),
                       scaled_value(given("maxUnavailable"), replicas, false)};
  if (limits.surge == 0 && limits.unavailable == 0) limits.unavailable = 1;
  limits.unavailable = std::min(limits.unavailable, replicas);
  return limits;
}

std::int64_t new_set_target(std::int64_t replicas, RollingLimits limits, bool rolling, std::int64_t new_wanted,
                            const std::vector<SetSize>& all) {
  if (!rolling || new_wanted >= replicas) return replicas;
  std::int64_t total = 0;
  for (const auto& set : all) total += set.wanted;
  std::int64_t room = replicas + limits.surge - total;
  if (room <= 0) return new_wanted;
  return new_wanted + std::min(room, replicas - new_wanted);
}

std::vector<std::int64_t> old_set_targets(std::int64_t replicas, RollingLimits limits, SetSize newest,
                                          const std::vector<SetSize>& old) {
  std::vector<std::int64_t> targets;
  std::int64_t total = newest.wanted;
  for (const auto& set : old) {
    targets.push_back(set.wanted);
    total += set.wanted;
  }
  std::int64_t min_available = replicas - limits.unavailable;
  // New pods that are not available yet count as lost: otherwise a bad image would take the old ones down.
  std::int64_t spare = total - min_available - (newest.wanted - newest.available);
  if (spare <= 0) return targets;

  std::int64_t cleaned = 0;
  for (std::size_t i = 0; i < old.size() && cleaned < spare; ++i) {
    std::int64_t unhealthy = std::clamp<std::int64_t>(targets[i] - old[i].available, 0, spare - cleaned);
    targets[i] -= unhealthy;
    cleaned += unhealthy;
  }

  std::int64_t available = newest.available;
  for (const auto& set : old) available += set.available;
  std::int64_t removable = available - min_available;
  for (std::size_t i = 0; i < old.size() && removable > 0; ++i) {
    std::int64_t down = std::min(targets[i], removable);
    targets[i] -= down;
    removable -= down;
  }
  return targets;
}

std::vector<std::int64_t> proportional_targets(std::int64_t replicas, RollingLimits limits, bool rolling,
                                               const std::vector<ProportionalSet>& active) {
  std::vector<std::int64_t> targets;
  std::int64_t total = 0;
  for (const auto& set : active) {
    targets.push_back(set.wanted);
    total += set.wanted;
  }
  std::int64_t allowed = replicas > 0 ? replicas + (rolling ? limits.surge : 0) : 0;
  std::int64_t to_add = allowed - total;
  if (to_add == 0 || active.empty()) return targets;

  // Scaling up favours the newer of equals, scaling down the older.
  std::vector<std::size_t> order(active.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (active[a].wanted != active[b].wanted) return active[a].wanted > active[b].wanted;
    return to_add > 0 ? active[a].created > active[b].created : active[a].created < active[b].created;
  });

  std::int64_t added = 0;
  for (std::size_t i : order) {
    if (active[i].wanted == 0) continue;
    double was = static_cast<double>(active[i].max_replicas > 0 ? active[i].max_replicas : total);
    auto share = static_cast<std::int64_t>(
                     std::llround(static_cast<double>(active[i].wanted) * static_cast<double>(allowed) / was)) -
                 active[i].wanted;
    std::int64_t left = to_add - added;
    share = to_add > 0 ? std::clamp<std::int64_t>(share, 0, left) : std::clamp<std::int64_t>(share, left, 0);
    targets[i] = std::max<std::int64_t>(0, targets[i] + share);
    added += share;
  }
  // What rounding left over goes to the largest.
  targets[order.front()] = std::max<std::int64_t>(0, targets[order.front()] + to_add - added);
  return targets;
}

}  // namespace lab::controllers
