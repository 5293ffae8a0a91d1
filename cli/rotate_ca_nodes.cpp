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

const json::Value& authority_of(const json::Value& said, const std::string& ca) {
  return ca == "ca" ? json::at(said, "authority") : json::at(said, "authorities", ca);
}
bool signs_with(const json::Value& authority, const std::string& pin) {
  return json::str(authority, "signer") == pin;
}
bool served(const json::Value& authority, CaStep step) {
  return json::num(authority, "served") >= static_cast<int>(step);
}
// It took the last step already, and keeps nothing of the rotation.
bool has_finished(const json::Value& authority, const std::string& pin) {
  return signs_with(authority, pin) && json::list(authority, "bundle").size() == 1;
}

}  // namespace

Missing trusts(std::string pin) {
  return [pin](const json::Value& said) -> std::string {
    return lists(json::list(said, "trusts"), pin) ? "" : "it does not trust the new CA yet";
  };
}
Missing uses(std::string pin) {
  return [pin](const json::Value& said) -> std::string {
    return json::str(said, "issuer") == pin ? "" : "its certificate is of the old CA still";
  };
}
Missing trusts_alone(std::string pin) {
  return [pin](const json::Value& said) -> std::string {
    if (json::list(said, "trusts").size() > 1) return "it still trusts the old CA";
    return trusts(pin)(said);
  };
}

Missing prepared(std::string pin, std::string ca) {
  return [pin, ca](const json::Value& said) -> std::string {
    const auto& a = authority_of(said, ca);
    const bool knows = lists(json::list(a, "bundle"), pin) && served(a, CaStep::kPrepared);
    return knows || has_finished(a, pin) ? "" : "its API server does not trust the new CA yet";
  };
}
Missing switched(std::string pin, std::string ca) {
  return [pin, ca](const json::Value& said) -> std::string {
    const auto& a = authority_of(said, ca);
    const bool there = signs_with(a, pin) && served(a, CaStep::kSwitched);
    return there || has_finished(a, pin) ? "" : "the old CA signs there still";
  };
}
Missing finished(std::string pin, std::string ca) {
  return [pin, ca](const json::Value& said) -> std::string {
    return has_finished(authority_of(said, ca), pin) ? "" : "its API server trusts the old CA still";
  };
}

namespace {

std::string late_of(const std::vector<NodeFacts>& nodes, const Missing& missing, bool masters_only) {
  std::string out;
  for (const auto& n : nodes) {
    if (masters_only && !n.master) continue;
    const std::string why = n.said ? missing(*n.said) : n.said.error().message;
    if (!why.empty()) out += (out.empty() ? "" : "; ") + n.name + " (" + why + ")";
  }
  return out;
}

}  // namespace

Result<std::string> laggards(Cluster& cluster, const Missing& missing, bool poke) {
  LAB_TRY(auto nodes, ask_nodes(cluster, poke));
  return late_of(nodes, missing, false);
}

Result<std::string> lagging_masters(Cluster& cluster, const Missing& missing) {
  LAB_TRY(auto nodes, ask_nodes(cluster, false));
  return late_of(nodes, missing, true);
}

Result<void> wait_nodes(Cluster& cluster, const Missing& missing, const std::string& what, const std::string& again) {
  bool poke = true;
  std::string late;
  auto all = bootstrap::wait_until(kNodesLimit, what, "", [&]() -> Result<void> {
    LAB_TRY(late, laggards(cluster, missing, std::exchange(poke, false)));
    if (late.empty()) return {};
    return fail(Code::kUnavailable, late);
  });
  if (all) return {};
  return fail(Code::kTimeout, what + ": not all yet: " + (late.empty() ? all.error().message : late),
              "bring those nodes back and run this again: " + again +
                  "; or delete what will not come back: kubectl delete node NAME");
}

}  // namespace lab::cli
