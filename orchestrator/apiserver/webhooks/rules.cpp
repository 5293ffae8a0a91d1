#include "orchestrator/apiserver/webhooks/rules.h"

#include <algorithm>

namespace lab::apiserver::webhooks {
namespace {

std::vector<std::string> strings(const json::Array& list) {
  std::vector<std::string> out;
  for (const auto& item : list) out.emplace_back(json::as_str(item));
  return out;
}

bool names(const std::vector<std::string>& items, std::string_view wanted) {
  return std::ranges::any_of(items, [&](const std::string& item) { return item == "*" || item == wanted; });
}

bool names_resource(const Rule& rule, std::string_view resource, std::string_view subresource) {
  return std::ranges::any_of(rule.resources, [&](const std::string& item) {
    const auto slash = item.find('/');
    const auto of = std::string_view(item).substr(0, slash);
    const auto sub = slash == std::string::npos ? std::string_view{} : std::string_view(item).substr(slash + 1);
    return (of == "*" || of == resource) && (sub == "*" || sub == subresource);
  });
}

bool in_scope(const Rule& rule, const RuleTarget& target) {
  if (rule.scope.empty() || rule.scope == "*") return true;
  // Namespaces are cluster-scoped although requests about one name it as their namespace.
  const bool is_namespace = target.resource.group.empty() && target.resource.resource == "namespaces";
  const bool namespaced = !is_namespace && !target.ns.empty();
  return rule.scope == "Namespaced" ? namespaced : rule.scope == "Cluster" && !namespaced;
}

}  // namespace

Rule read_rule(const json::Value& rule) {
  return {.operations = strings(json::list(rule, "operations")),
          .groups = strings(json::list(rule, "apiGroups")),
          .versions = strings(json::list(rule, "apiVersions")),
          .resources = strings(json::list(rule, "resources")),
          .scope = std::string(json::str(rule, "scope"))};
}

bool matches(const Rule& rule, const RuleTarget& target) {
  return in_scope(rule, target) && names(rule.operations, target.operation) &&
         names(rule.groups, target.resource.group) && names(rule.versions, target.resource.version) &&
         names_resource(rule, target.resource.resource, target.subresource);
}

}  // namespace lab::apiserver::webhooks
