#include "cli/rotate_ca_nodes.h"

#include <algorithm>

#include "bootstrap/certs/ca_rotation.h"
#include "cli/node_facts.h"

namespace lab::cli {

using bootstrap::Cluster;
using bootstrap::certs::CaStep;

namespace {

constexpr auto kNodesLimit = std::chrono::seconds(60);

bool lists(const json::Array& pins, const std::string& pin) {
  return std::ranges::any_of(pins, [&](const json::Value& p) { return json::as_str(p) == pin; });
}

bool signs_with(const json::Value& said, const std::string& pin) {
  return json::str(said, "authority", "signer") == pin;
}
bool served(const json::Value& said, CaStep step) {
  return json::num(said, "authority", "served") >= static_cast<int>(step);
}
// It took the last step already, and keeps nothing of the rotation.
bool has_finished(const json::Value& said, const std::string& pin) {
  return signs_with(said, pin) && json::list(said, "authority", "bundle").size() == 1;
}

}  // namespace

std::string trusts(const json::Value& said, const std::string& pin) {
  return lists(json::list(said, "trusts"), pin) ? "" : "it does not trust the new CA yet";
}
std::string uses(const json::Value& said, const std::string& pin) {
  return json::str(said, "issuer") == pin ? "" : "its certificate is of the old CA still";
}
std::string trusts_alone(const json::Value& said, const std::string& pin) {
  if (json::list(said, "trusts").size() > 1) return "it still trusts the old CA";
  return trusts(said, pin);
}

std::string prepared(const json::Value& said, const std::string& pin) {
  const bool knows = lists(json::list(said, "authority", "bundle"), pin) && served(said, CaStep::kPrepared);
  return knows || has_finished(said, pin) ? "" : "its API server does not trust the new CA yet";
}
std::string switched(const json::Value& said, const std::string& pin) {
  const bool there = signs_with(said, pin) && served(said, CaStep::kSwitched);
  return there || has_finished(said, pin) ? "" : "the old CA signs there still";
}
std::string finished(const json::Value& said, const std::string& pin) {
  return has_finished(said, pin) ? "" : "its API server trusts the old CA still";
}

namespace {

std::string late_of(const std::vector<NodeFacts>& nodes, Missing missing, const std::string& pin, bool masters_only) {
  std::string out;
  for (const auto& n : nodes) {
    if (masters_only && !n.master) continue;
    const std::string why = n.said ? missing(*n.said, pin) : n.said.error().message;
    if (!why.empty()) out += (out.empty() ? "" : "; ") + n.name + " (" + why + ")";
  }
  return out;
}

}  // namespace

Result<std::string> laggards(Cluster& cluster, Missing missing, const std::string& pin, bool poke) {
  LAB_TRY(auto nodes, ask_nodes(cluster, poke));
  return late_of(nodes, missing, pin, false);
}

Result<std::string> lagging_masters(Cluster& cluster, MasterMissing missing, const std::string& pin) {
  LAB_TRY(auto nodes, ask_nodes(cluster, false));
  return late_of(nodes, missing, pin, true);
}

Result<void> wait_nodes(Cluster& cluster, Missing missing, const std::string& pin, const std::string& what,
                        const std::string& again) {
  bool poke = true;
  std::string late;
  auto all = bootstrap::wait_until(kNodesLimit, what, "", [&]() -> Result<void> {
    LAB_TRY(late, laggards(cluster, missing, pin, std::exchange(poke, false)));
    if (late.empty()) return {};
    return fail(Code::kUnavailable, late);
  });
  if (all) return {};
  return fail(Code::kTimeout, what + ": not all yet: " + (late.empty() ? all.error().message : late),
              "bring those nodes back and run this again: lab certs rotate-ca " + again +
                  "; or delete what will not come back: kubectl delete node NAME");
}

}  // namespace lab::cli
