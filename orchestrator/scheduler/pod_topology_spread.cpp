// PodTopologySpread (KEP-895, KEP-1258): keeps the pods that a constraint selects evenly spread over domains. Pods
// without constraints of their own get the cluster's: over nodes and zones, among the pods of their service or owner.
#include <algorithm>
#include <cmath>

#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler::pod_topology_spread {

namespace {

constexpr std::string_view kHostname = "kubernetes.io/hostname", kZone = "topology.kubernetes.io/zone";

// Whether the constraint counts the node at all (KEP-3094).
bool counts_node(const SpreadConstraint& constraint, const PodInfo& pod, const NodeInfo& node) {
  if (constraint.honor_affinity && !pod.node_requirement.matches(node.name(), node.labels())) return false;
  return !constraint.honor_taints || !find_untolerated(node.taints(), pod.tolerations);
}

std::int64_t count_pods(const SpreadConstraint& constraint, const PodInfo& pod, const NodeInfo& node) {
  return std::count_if(node.pods().begin(), node.pods().end(), [&](const PodInfoPtr& other) {
    return !other->terminating && other->ns == pod.ns && constraint.matches(other->labels());
  });
}

template <class Constraints, class Get>
bool has_all_keys(const NodeInfo& node, const Constraints& constraints, Get get) {
  return std::all_of(constraints.begin(), constraints.end(),
                     [&](const auto& c) { return node.labels().contains(get(c).topology_key); });
}

std::vector<SpreadConstraint> soft_constraints(const Cycle& cycle) {
  std::vector<SpreadConstraint> out;
  for (const auto& c : cycle.pod.spread)
    if (!c.hard) out.push_back(c);
  if (!cycle.pod.spread.empty()) return out;
  auto selectors = cycle.world.owner_selectors(cycle.pod);
  if (selectors.empty()) return out;
  out.push_back({.max_skew = 3, .topology_key = std::string(kHostname), .hard = false, .selectors = selectors});
  out.push_back({.max_skew = 5, .topology_key = std::string(kZone), .hard = false, .selectors = selectors});
  return out;
}

}  // namespace

std::optional<std::string> prepare(Cycle& cycle) {
  auto& constraints = cycle.spread.constraints;
  constraints.clear();
  for (const auto& c : cycle.pod.spread)
    if (c.hard) constraints.push_back({.constraint = &c, .counts_itself = c.matches(cycle.pod.labels())});
  if (constraints.empty()) return std::nullopt;
  auto get = [](const auto& c) -> const SpreadConstraint& { return *c.constraint; };
  for (const NodeInfo* node : cycle.nodes) {
    if (!has_all_keys(*node, constraints, get)) continue;
    for (auto& c : constraints)
      if (counts_node(*c.constraint, cycle.pod, *node))
        c.pods[std::string(label(node->labels(), c.constraint->topology_key))] +=
            count_pods(*c.constraint, cycle.pod, *node);
  }
  for (auto& c : constraints) {
    if (c.pods.empty() || static_cast<std::int64_t>(c.pods.size()) < c.constraint->min_domains) continue;  // least = 0
    auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
    c.least = std::min_element(c.pods.begin(), c.pods.end(), less)->second;
  }
  return std::nullopt;
}

Verdict filter(const Cycle& cycle, const NodeInfo& node) {
  for (const auto& c : cycle.spread.constraints) {
    const auto* value = node.labels().if_contains(c.constraint->topology_key);
    if (!value) return Verdict::never("node(s) didn't match pod topology spread constraints (missing required label)");
    auto it = c.pods.find(std::string(json::as_str(*value)));
    std::int64_t here = it == c.pods.end() ? 0 : it->second;
    if (here + (c.counts_itself ? 1 : 0) - c.least > c.constraint->max_skew)
      return Verdict::no("node(s) didn't match pod topology spread constraints");
  }
  return {};
}

bool prepare_score(Cycle& cycle, std::span<const NodeInfo* const> feasible) {
  auto& state = cycle.spread_score;
  state = {};
  for (auto& c : soft_constraints(cycle)) state.constraints.push_back({.constraint = std::move(c)});
  if (state.constraints.empty()) return false;
  bool needs_all_keys = !cycle.pod.spread.empty();
  auto get = [](const auto& c) -> const SpreadConstraint& { return c.constraint; };

  for (const NodeInfo* node : feasible) {
    if (needs_all_keys && !has_all_keys(*node, state.constraints, get)) {
      state.ignored.insert(node);
      continue;
    }
    for (auto& c : state.constraints)
      if (const auto* value = node->labels().if_contains(c.constraint.topology_key);
          value && c.constraint.topology_key != kHostname)
        c.pods.try_emplace(std::string(json::as_str(*value)), 0);
  }
  for (auto& c : state.constraints) {
    bool by_host = c.constraint.topology_key == kHostname;
    std::size_t domains = by_host ? feasible.size() - state.ignored.size() : c.pods.size();
    c.weight = std::log(static_cast<double>(domains) + 2);
    if (by_host || c.pods.empty()) continue;
    for (const NodeInfo* node : cycle.nodes) {
      if (needs_all_keys && !has_all_keys(*node, state.constraints, get)) continue;
      if (!counts_node(c.constraint, cycle.pod, *node)) continue;
      auto it = c.pods.find(std::string(label(node->labels(), c.constraint.topology_key)));
      if (it != c.pods.end()) it->second += count_pods(c.constraint, cycle.pod, *node);
    }
  }
  return true;
}

// The fewer pods in the node's domains, the better; wider domains and smaller skews count more.
std::int64_t score(const Cycle& cycle, const NodeInfo& node) {
  const auto& state = cycle.spread_score;
  if (state.ignored.contains(&node)) return 0;
  double out = 0;
  for (const auto& c : state.constraints) {
    const auto* value = node.labels().if_contains(c.constraint.topology_key);
    if (!value) continue;
    std::int64_t here = 0;
    if (c.constraint.topology_key == kHostname)
      here = count_pods(c.constraint, cycle.pod, node);
    else if (auto it = c.pods.find(std::string(json::as_str(*value))); it != c.pods.end())
      here = it->second;
    out += static_cast<double>(here) * c.weight + static_cast<double>(c.constraint.max_skew - 1);
  }
  return std::llround(out);
}

void normalize(const Cycle& cycle, std::span<NodeScore> scores) {
  const auto& ignored = cycle.spread_score.ignored;
  std::int64_t least = INT64_MAX, most = 0;
  for (const auto& s : scores) {
    if (ignored.contains(s.node)) continue;
    least = std::min(least, s.score);
    most = std::max(most, s.score);
  }
  for (auto& s : scores) {
    if (ignored.contains(s.node))
      s.score = 0;
    else
      s.score = most == 0 ? kMaxScore : kMaxScore * (most + least - s.score) / most;
  }
}

}  // namespace lab::scheduler::pod_topology_spread
