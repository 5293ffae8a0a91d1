#include "orchestrator/scheduler/algorithm.h"

#include <algorithm>

namespace lab::scheduler {

namespace {

constexpr std::size_t kSearchAll = 100;  // clusters up to this many nodes are searched whole

// How many feasible nodes are enough: a share that shrinks from half to 5 % as clusters grow.
std::size_t enough_nodes(std::size_t all) {
  if (all <= kSearchAll) return all;
  std::size_t percent = all / 125 >= 45 ? 5 : 50 - all / 125;
  return std::max(kSearchAll, all * percent / 100);
}

// Nominated pods of at least this priority count as if they were there; the pod must fit with and without them.
Verdict filter_with_nominated(const Cycle& cycle, const NodeInfo& node, const Nominations& nominations,
                              EventMask* retry_on) {
  std::optional<NodeInfo> filled;
  for (const auto& nominated : nominations.on(node.name())) {
    if (nominated->key == cycle.pod.key || nominated->priority < cycle.pod.priority) continue;
    if (!filled) filled.emplace(node);
    filled->add_pod(nominated);
  }
  if (filled)
    if (auto verdict = run_filters(cycle, *filled, retry_on); !verdict.fits()) return verdict;
  return run_filters(cycle, node, retry_on);
}

// The nodes to look at: those that node affinity names, else all.
std::vector<const NodeInfo*> candidates(const Cycle& cycle) {
  auto [names, named] = cycle.pod.node_requirement.named_nodes();
  if (!named) return cycle.nodes;
  std::vector<const NodeInfo*> out;
  for (const NodeInfo* node : cycle.nodes)
    if (std::find(names.begin(), names.end(), node->name()) != names.end()) out.push_back(node);
  return out;
}

const NodeInfo* best_of(Cycle& cycle, const std::vector<const NodeInfo*>& feasible) {
  if (feasible.size() == 1) return feasible.front();
  std::vector<std::int64_t> totals(feasible.size(), 0);
  std::vector<NodeScore> scores(feasible.size());
  for (const auto& plugin : score_plugins()) {
    if (plugin.prepare && !plugin.prepare(cycle, feasible)) continue;
    for (std::size_t i = 0; i < feasible.size(); ++i) scores[i] = {feasible[i], plugin.score(cycle, *feasible[i])};
    if (plugin.normalize) plugin.normalize(cycle, scores);
    for (std::size_t i = 0; i < feasible.size(); ++i) totals[i] += plugin.weight * scores[i].score;
  }
  return feasible[std::max_element(totals.begin(), totals.end()) - totals.begin()];
}

}  // namespace

void Nominations::set(PodInfoPtr pod, const std::string& node) {
  if (node.empty()) return remove(pod->key);
  std::string key = pod->key;
  by_pod_[key] = {node, std::move(pod)};
}
void Nominations::remove(const std::string& key) {
  by_pod_.erase(key);
}
std::string Nominations::node_of(const std::string& key) const {
  auto it = by_pod_.find(key);
  return it == by_pod_.end() ? std::string() : it->second.first;
}
std::vector<PodInfoPtr> Nominations::on(const std::string& node) const {
  std::vector<PodInfoPtr> out;
  for (const auto& [_, entry] : by_pod_)
    if (entry.first == node) out.push_back(entry.second);
  return out;
}

std::string count_reasons(std::size_t all_nodes, const std::map<std::string, int>& reasons) {
  std::vector<std::string> lines;
  for (const auto& [reason, n] : reasons) lines.push_back(std::to_string(n) + " " + reason);
  std::sort(lines.begin(), lines.end());
  std::string out = "0/" + std::to_string(all_nodes) + " nodes are available:";
  for (std::size_t i = 0; i < lines.size(); ++i) out += (i ? ", " : " ") + lines[i];
  if (!lines.empty()) out += ".";
  return out;
}

std::string Diagnosis::text() const {
  if (all_nodes == 0) return "no nodes available to schedule pods";
  std::string out;
  if (!no_node_reason.empty()) {
    out = "0/" + std::to_string(all_nodes) + " nodes are available: " + no_node_reason + ".";
  } else {
    std::map<std::string, int> reasons;
    for (const auto& [_, verdict] : rejections)
      for (const auto& reason : verdict.reasons) ++reasons[reason];
    out = count_reasons(all_nodes, reasons);
  }
  return preemption.empty() ? out : out + " " + preemption;
}

std::optional<std::string> prepare_filters(Cycle& cycle, EventMask* retry_on) {
  for (const auto& plugin : filter_plugins()) {
    if (!plugin.prepare) continue;
    auto reason = plugin.prepare(cycle);
    if (!reason) continue;
    if (retry_on) *retry_on |= plugin.retry_on;
    return reason;
  }
  return std::nullopt;
}

Verdict run_filters(const Cycle& cycle, const NodeInfo& node, EventMask* retry_on) {
  for (const auto& plugin : filter_plugins()) {
    auto verdict = plugin.filter(cycle, node);
    if (verdict.fits()) continue;
    if (retry_on) *retry_on |= plugin.retry_on;
    return verdict;
  }
  return {};
}

std::vector<const NodeInfo*> Algorithm::find_feasible(Cycle& cycle, const Nominations& nominations, Diagnosis& why) {
  auto nodes = candidates(cycle);
  // The promised node first: when it fits, there is nothing to choose.
  if (auto promised = nominations.node_of(cycle.pod.key); !promised.empty())
    for (const NodeInfo* node : nodes)
      if (node->name() == promised && filter_with_nominated(cycle, *node, nominations, nullptr).fits()) return {node};

  std::vector<const NodeInfo*> feasible;
  std::size_t enough = enough_nodes(nodes.size()), looked_at = 0;
  for (; looked_at < nodes.size() && feasible.size() < enough; ++looked_at) {
    const NodeInfo* node = nodes[(next_start_ + looked_at) % nodes.size()];
    auto verdict = filter_with_nominated(cycle, *node, nominations, &why.retry_on);
    if (verdict.fits())
      feasible.push_back(node);
    else
      why.rejections.emplace_back(node, std::move(verdict));
  }
  // Rotation also breaks ties between equal nodes in turn.
  if (!nodes.empty()) next_start_ = (next_start_ + std::max<std::size_t>(1, looked_at % nodes.size())) % nodes.size();
  return feasible;
}

Placement Algorithm::place(Cycle& cycle, const Nominations& nominations) {
  Placement out{.why = {.all_nodes = cycle.nodes.size()}};
  if (cycle.nodes.empty()) {
    out.why.retry_on = happened::kNodeAdded;
    return out;
  }
  if (auto reason = prepare_filters(cycle, &out.why.retry_on)) {
    out.why.no_node_reason = *reason;
    return out;
  }
  auto feasible = find_feasible(cycle, nominations, out.why);
  if (!feasible.empty()) {
    out.node = best_of(cycle, feasible);
    return out;
  }
  if (out.why.rejections.empty()) out.why.retry_on |= happened::kNodeAdded;  // it named nodes that do not exist
  return out;
}

}  // namespace lab::scheduler
