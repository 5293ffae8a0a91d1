// Rules: which requests a webhook is for (RuleWithOperations of admissionregistration.k8s.io/v1). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::apiserver::webhooks {

struct Rule {
  std::vector<std::string> operations;  // CREATE UPDATE DELETE CONNECT *
  std::vector<std::string> groups, versions;
  std::vector<std::string> resources;  // "pods", "pods/status", "pods/*", "*/scale", "*", "*/*"
  std::string scope = "*";             // Cluster, Namespaced, *
};
Rule read_rule(const json::Value& rule);

// A resource in one of its versions.
struct ResourceName {
  std::string group, version, resource;
  bool operator==(const ResourceName&) const = default;
};

struct RuleTarget {
  std::string_view operation;
  const ResourceName& resource;
  std::string_view subresource;
  std::string_view ns;  // of a Namespace: its own name
};
bool matches(const Rule& rule, const RuleTarget& target);

}  // namespace lab::apiserver::webhooks
