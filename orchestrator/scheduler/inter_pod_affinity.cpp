// InterPodAffinity: pods near, or apart from, pods with certain labels, within a topology domain.
#include <algorithm>

#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler::inter_pod_affinity {

namespace {

// "key=value" of the node's domain; empty where the node has no such label.
std::string domain_of(const NodeInfo& node, const std::string& topology_key) {
  const auto* value = node.labels().if_contains(topology_key);
  return value ? topology_key + "=" + std::string(json::as_str(*value)) : std::string();
}

bool means(const AffinityTerm& term, const PodInfo& pod, const Cycle& cycle) {
  return term.matches(pod.ns, cycle.world.namespace_labels(pod.ns), pod.labels());
}

bool all_mean(const std::vector<AffinityTerm>& terms, const PodInfo& pod, const Cycle& cycle) {
  return std::all_of(terms.begin(), terms.end(), [&](const auto& t) { return means(t, pod, cycle); });
}

void count(Counts& counts, const NodeInfo& node, const AffinityTerm& term, std::int64_t by) {
  if (auto domain = domain_of(node, term.topology_key); !domain.empty()) counts[domain] += by;
}

std::int64_t get(const Counts& counts, const std::string& domain) {
  auto it = counts.find(domain);
  return it == counts.end() ? 0 : it->second;
}

bool affinity_holds(const Cycle& cycle, const NodeInfo& node) {
  bool all_found = true;
  for (const auto& term : cycle.pod.affinity.required) {
    auto domain = domain_of(node, term.topology_key);
    if (domain.empty()) return false;
    all_found = all_found && get(cycle.affinity.affinity, domain) > 0;
  }
  // The first of a group that wants to be together finds nobody: it may start anywhere.
  return all_found || (cycle.affinity.affinity.empty() && cycle.affinity.matches_itself);
}

bool anti_affinity_holds(const Cycle& cycle, const NodeInfo& node) {
  return std::none_of(cycle.pod.anti_affinity.required.begin(), cycle.pod.anti_affinity.required.end(),
                      [&](const auto& term) {
                        auto domain = domain_of(node, term.topology_key);
                        return !domain.empty() && get(cycle.affinity.anti, domain) > 0;
                      });
}

bool existing_anti_affinity_holds(const Cycle& cycle, const NodeInfo& node) {
  if (cycle.affinity.existing_anti.empty()) return true;
  for (const auto& field : node.labels()) {
    std::string domain(field.key().data(), field.key().size());
    domain += "=" + std::string(json::as_str(field.value()));
    if (get(cycle.affinity.existing_anti, domain) > 0) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> prepare(Cycle& cycle) {
  const auto& want = cycle.pod.affinity.required;
  const auto& avoid = cycle.pod.anti_affinity.required;
  cycle.affinity = {.matches_itself = !want.empty() && all_mean(want, cycle.pod, cycle)};
  for (const NodeInfo* node : cycle.nodes) {
    for (const auto& other : node->pods_with_affinity())
      for (const auto& term : other->anti_affinity.required)
        if (means(term, cycle.pod, cycle)) count(cycle.affinity.existing_anti, *node, term, 1);
    if (want.empty() && avoid.empty()) continue;
    for (const auto& other : node->pods()) {
      if (!want.empty() && all_mean(want, *other, cycle))
        for (const auto& term : want) count(cycle.affinity.affinity, *node, term, 1);
      for (const auto& term : avoid)
        if (means(term, *other, cycle)) count(cycle.affinity.anti, *node, term, 1);
    }
  }
  return std::nullopt;
}

Verdict filter(const Cycle& cycle, const NodeInfo& node) {
  if (!affinity_holds(cycle, node)) return Verdict::never("node(s) didn't match pod affinity rules");
  if (!anti_affinity_holds(cycle, node)) return Verdict::no("node(s) didn't match pod anti-affinity rules");
  if (!existing_anti_affinity_holds(cycle, node))
    return Verdict::no("node(s) didn't satisfy existing pods anti-affinity rules");
  return {};
}

// Preferred terms of both sides count, and so does being wanted by a placed pod (with weight 1).
bool prepare_score(Cycle& cycle, std::span<const NodeInfo* const>) {
  const auto &near = cycle.pod.affinity.preferred, &apart = cycle.pod.anti_affinity.preferred;
  Counts& counts = cycle.affinity_score;
  counts.clear();
  for (const NodeInfo* node : cycle.nodes) {
    if (!near.empty() || !apart.empty())
      for (const auto& other : node->pods()) {
        for (const auto& term : near)
          if (means(term, *other, cycle)) count(counts, *node, term, term.weight);
        for (const auto& term : apart)
          if (means(term, *other, cycle)) count(counts, *node, term, -term.weight);
      }
    for (const auto& other : node->pods_with_affinity()) {
      for (const auto& term : other->affinity.required)
        if (means(term, cycle.pod, cycle)) count(counts, *node, term, 1);
      for (const auto& term : other->affinity.preferred)
        if (means(term, cycle.pod, cycle)) count(counts, *node, term, term.weight);
      for (const auto& term : other->anti_affinity.preferred)
        if (means(term, cycle.pod, cycle)) count(counts, *node, term, -term.weight);
    }
  }
  return !counts.empty();
}

std::int64_t score(const Cycle& cycle, const NodeInfo& node) {
  std::int64_t out = 0;
  for (const auto& [domain, weight] : cycle.affinity_score) {
    std::size_t at = domain.find('=');
    const auto* value = node.labels().if_contains(std::string_view(domain).substr(0, at));
    if (value && json::as_str(*value) == std::string_view(domain).substr(at + 1)) out += weight;
  }
  return out;
}

void normalize(const Cycle&, std::span<NodeScore> scores) {
  auto less = [](const NodeScore& a, const NodeScore& b) { return a.score < b.score; };
  auto [low, high] = std::minmax_element(scores.begin(), scores.end(), less);
  std::int64_t least = low->score, span = high->score - least;
  for (auto& s : scores) s.score = span == 0 ? 0 : kMaxScore * (s.score - least) / span;
}

}  // namespace lab::scheduler::inter_pod_affinity
