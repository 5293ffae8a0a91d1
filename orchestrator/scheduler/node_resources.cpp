// NodeResourcesFit (filter, and score LeastAllocated) and NodeResourcesBalancedAllocation.
#include <algorithm>
#include <cmath>

#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler::node_resources {

namespace {

struct Refusals {
  Verdict verdict;
  void check(std::string_view name, std::int64_t wanted, std::int64_t used, std::int64_t offered) {
    if (wanted <= 0 || wanted <= offered - used) return;
    verdict.reasons.push_back("Insufficient " + std::string(name));
    // More than the node has altogether: removing other pods cannot help.
    if (wanted > offered)
      verdict.kind = Verdict::kUnresolvable;
    else if (verdict.fits())
      verdict.kind = Verdict::kUnschedulable;
  }
};

std::int64_t free_share(std::int64_t wanted, std::int64_t offered) {
  if (offered <= 0 || wanted > offered) return 0;
  return (offered - wanted) * kMaxScore / offered;
}

double used_share(std::int64_t wanted, std::int64_t offered) {
  return offered <= 0 ? 1 : std::min(1.0, static_cast<double>(wanted) / static_cast<double>(offered));
}

}  // namespace

Verdict filter(const Cycle& cycle, const NodeInfo& node) {
  Refusals out;
  if (static_cast<std::int64_t>(node.pods().size()) + 1 > node.allowed_pods())
    out.verdict = Verdict::no("Too many pods");
  const Resources &want = cycle.pod.requests, &used = node.requested(), &offer = node.allocatable();
  out.check("cpu", want.cpu, used.cpu, offer.cpu);
  out.check("memory", want.memory, used.memory, offer.memory);
  out.check("ephemeral-storage", want.ephemeral, used.ephemeral, offer.ephemeral);
  for (const auto& [name, amount] : want.scalar) out.check(name, amount, used.get(name), offer.get(name));
  return std::move(out.verdict);
}

std::int64_t score_least_allocated(const Cycle& cycle, const NodeInfo& node) {
  const Resources &want = cycle.pod.requests_or_defaults, &used = node.requested_or_defaults();
  std::int64_t cpu = free_share(used.cpu + want.cpu, node.allocatable().cpu);
  std::int64_t memory = free_share(used.memory + want.memory, node.allocatable().memory);
  return (cpu + memory) / 2;
}

bool prepare_balanced(Cycle& cycle, std::span<const NodeInfo* const>) {
  return !cycle.pod.best_effort;
}

// Best where CPU and memory would be used to the same share.
std::int64_t score_balanced(const Cycle& cycle, const NodeInfo& node) {
  const Resources &want = cycle.pod.requests, &used = node.requested();
  double cpu = used_share(used.cpu + want.cpu, node.allocatable().cpu);
  double memory = used_share(used.memory + want.memory, node.allocatable().memory);
  return static_cast<std::int64_t>((1 - std::abs(cpu - memory) / 2) * kMaxScore);
}

}  // namespace lab::scheduler::node_resources
