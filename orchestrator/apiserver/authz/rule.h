// Rule: one RBAC PolicyRule, ready to be matched, and the relation "covers" between rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "orchestrator/apiserver/authorizer.h"

namespace lab::apiserver::authz {

struct Rule {
  std::vector<std::string> verbs, groups, resources, names, urls;

  static Rule from_object(const json::Value& policy_rule);
  json::Value to_object() const;
  bool allows(const Attributes& a) const;
  // `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`: as kube-apiserver shows rules in refusals.
  std::string text() const;
  bool operator==(const Rule&) const = default;
};

std::vector<Rule> rules_of(const json::Value& role);

// The parts of `wanted` that no rule of `held` covers; empty when everything is covered.
std::vector<Rule> uncovered(const std::vector<Rule>& held, const std::vector<Rule>& wanted);

}  // namespace lab::apiserver::authz
