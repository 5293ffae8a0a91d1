#include "orchestrator/scheduler/preemption.h"

#include <algorithm>
#include <tuple>

namespace lab::scheduler {

namespace {

constexpr std::size_t kEnoughCandidates = 100;

// Runs the filters as if `changed` stood in its node's place. What was computed over all nodes is computed anew where
// the pod's terms or those of others depend on which pods exist.
Verdict fits_after(const Cycle& cycle, const NodeInfo* original, const NodeInfo& changed) {
  bool stateful = !cycle.spread.constraints.empty() || !cycle.affinity.existing_anti.empty() ||
                  !cycle.pod.affinity.required.empty() || !cycle.pod.anti_affinity.required.empty();
  if (!stateful) return run_filters(cycle, changed);
  auto nodes = cycle.nodes;
  std::replace(nodes.begin(), nodes.end(), original, &changed);
  Cycle what_if(cycle.pod, nodes, cycle.world);
  if (auto reason = prepare_filters(what_if)) return Verdict::never(*reason);
  return run_filters(what_if, changed);
}

// More important: higher priority, then older.
bool more_important(const PodInfoPtr& a, const PodInfoPtr& b) {
  return std::tie(b->priority, a->start_time) < std::tie(a->priority, b->start_time);
}

// Splits pods into those whose removal a budget forbids and the others; budgets are used up in order.
std::pair<std::vector<PodInfoPtr>, std::vector<PodInfoPtr>> split_by_budget(const std::vector<PodInfoPtr>& pods,
                                                                            std::vector<Budget> budgets) {
  std::pair<std::vector<PodInfoPtr>, std::vector<PodInfoPtr>> out;
  for (const auto& pod : pods) {
    bool violates = false;
    for (auto& budget : budgets)
      if (budget.ns == pod->ns && !pod->labels().empty() && budget.pods.matches(pod->labels()) && --budget.allowed < 0)
        violates = true;
    (violates ? out.first : out.second).push_back(pod);
  }
  return out;
}

// Removes all pods of lower priority, then gives back as many as still leave room, the most important first.
std::pair<std::optional<Victims>, Verdict> select_victims(const Cycle& cycle, const NodeInfo* node,
                                                          const Nominations& nominations,
                                                          const std::vector<Budget>& budgets) {
  NodeInfo what_if = *node;
  std::vector<PodInfoPtr> lower;
  for (const auto& pod : node->pods())
    if (pod->priority < cycle.pod.priority) lower.push_back(pod);
  if (lower.empty()) return {std::nullopt, Verdict::never("No preemption victims found for incoming pod")};
  for (const auto& pod : lower) what_if.remove_pod(pod->key);
  for (const auto& nominated : nominations.on(node->name()))
    if (nominated->key != cycle.pod.key && nominated->priority >= cycle.pod.priority) what_if.add_pod(nominated);
  if (auto verdict = fits_after(cycle, node, what_if); !verdict.fits()) return {std::nullopt, std::move(verdict)};

  std::sort(lower.begin(), lower.end(), more_important);
  auto [violating, others] = split_by_budget(lower, budgets);
  Victims out{.node = node};
  auto try_to_keep = [&](const PodInfoPtr& pod) {
    what_if.add_pod(pod);
    if (fits_after(cycle, node, what_if).fits()) return true;
    what_if.remove_pod(pod->key);
    out.pods.push_back(pod);
    return false;
  };
  for (const auto& pod : violating)
    if (!try_to_keep(pod)) ++out.budget_violations;
  for (const auto& pod : others) try_to_keep(pod);
  std::sort(out.pods.begin(), out.pods.end(), more_important);
  return {std::move(out), {}};
}

// The least harm: budgets kept, then the least important highest victim, the smallest sum of priorities, the fewest
// victims, and of those the ones that started last.
bool hurts_less(const Victims& a, const Victims& b) {
  auto sum = [](const Victims& v) {
    std::int64_t out = 0;
    for (const auto& p : v.pods) out += p->priority + (std::int64_t{1} << 31);
    return out;
  };
  auto highest = [](const Victims& v) { return v.pods.empty() ? INT64_MIN : v.pods.front()->priority; };
  auto started = [](const Victims& v) {  // of the most important ones, the earliest
    std::string out;
    for (const auto& p : v.pods)
      if (p->priority == v.pods.front()->priority && (out.empty() || p->start_time < out)) out = p->start_time;
    return out;
  };
  auto key_a = std::make_tuple(a.budget_violations, highest(a), sum(a), a.pods.size());
  auto key_b = std::make_tuple(b.budget_violations, highest(b), sum(b), b.pods.size());
  if (key_a != key_b) return key_a < key_b;
  return started(a) > started(b);
}

// A victim on the promised node is still on its way out: wait for it.
bool waits_for_victims(const Cycle& cycle, const Diagnosis& why, const std::string& promised) {
  for (const NodeInfo* node : cycle.nodes) {
    if (node->name() != promised) continue;
    auto it =
        std::find_if(why.rejections.begin(), why.rejections.end(), [&](const auto& r) { return r.first == node; });
    if (it != why.rejections.end() && it->second.kind == Verdict::kUnresolvable) return false;
    return std::any_of(node->pods().begin(), node->pods().end(),
                       [&](const auto& p) { return p->terminating && p->priority < cycle.pod.priority; });
  }
  return false;
}

}  // namespace

std::vector<Budget> parse_budgets(const std::vector<client::ObjectPtr>& objects) {
  std::vector<Budget> out;
  for (const auto& object : objects) {
    auto selector = api::LabelSelector::from_object(json::at(*object, "spec", "selector"));
    if (!selector || selector->empty()) continue;
    out.push_back({std::string(json::str(*object, "metadata", "namespace")), std::move(*selector),
                   json::num(*object, "status", "disruptionsAllowed")});
  }
  return out;
}

PreemptionPlan plan_preemption(const Cycle& cycle, const Diagnosis& why, const Nominations& nominations,
                               const std::vector<Budget>& budgets) {
  if (!cycle.pod.may_preempt) return {.message = "preemption: not eligible due to preemptionPolicy=Never."};
  if (waits_for_victims(cycle, why, nominations.node_of(cycle.pod.key)))
    return {.message = "preemption: not eligible due to a terminating pod on the nominated node."};

  std::optional<Victims> best;
  std::size_t candidates = 0;
  std::map<std::string, int> reasons;
  int helpless = static_cast<int>(why.all_nodes);
  for (const auto& [node, verdict] : why.rejections) {
    if (verdict.kind == Verdict::kUnresolvable || candidates >= kEnoughCandidates) continue;
    --helpless;
    auto [victims, refusal] = select_victims(cycle, node, nominations, budgets);
    for (const auto& reason : refusal.reasons) ++reasons[reason];
    if (!victims) continue;
    ++candidates;
    if (!best || hurts_less(*victims, *best)) best = std::move(victims);
  }
  if (best) return {.victims = std::move(best)};
  if (helpless > 0) reasons["Preemption is not helpful for scheduling"] = helpless;
  return {.message = "preemption: " + count_reasons(why.all_nodes, reasons)};
}

}  // namespace lab::scheduler
