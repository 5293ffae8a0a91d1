#include "orchestrator/apiserver/authz/policy.h"

#include <algorithm>

#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/apiserver/authz/policy_rules.h"

namespace lab::apiserver::authz {

namespace rows {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    auto space = text.find(' ');
    if (std::string_view word = text.substr(0, space); !word.empty()) out.emplace_back(word == "core" ? "" : word);
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  }
  return out;
}

}  // namespace

Rule on(std::string_view verbs, std::string_view groups, std::string_view resources, std::string_view names) {
  return {
      .verbs = words(verbs), .groups = words(groups), .resources = words(resources), .names = words(names), .urls = {}};
}

Rule urls(std::string_view paths) {
  return {.verbs = {"get"}, .groups = {}, .resources = {}, .names = {}, .urls = words(paths)};
}

Rule events() {
  return on("create patch update", "core events.k8s.io", "events");
}

}  // namespace rows

namespace {

constexpr std::string_view kGroup = "rbac.authorization.k8s.io", kVersion = "rbac.authorization.k8s.io/v1";
constexpr std::string_view kAutoUpdate = "rbac.authorization.kubernetes.io/autoupdate";

json::Value metadata_of(std::string_view ns, std::string_view name) {
  json::Value m = json::Object{{"name", name},
                               {"annotations", json::Object{{kAutoUpdate, "true"}}},
                               {"labels", json::Object{{"kubernetes.io/bootstrapping", "rbac-defaults"}}}};
  if (!ns.empty()) json::set(m, ns, "namespace");
  return m;
}

std::string aggregation_label(std::string_view role) {
  return "rbac.authorization.k8s.io/aggregate-to-" + std::string(role);
}

// All rules that end up in an aggregated role, so that the stored object shows them from the start.
std::vector<Rule> aggregated_rules(const PolicyTable& table, std::string_view role) {
  std::vector<Rule> out;
  for (const auto& r : table.roles) {
    if (r.aggregate_to != role) continue;
    for (auto& rule : r.aggregated ? aggregated_rules(table, r.name) : r.rules)
      if (std::ranges::find(out, rule) == out.end()) out.push_back(rule);
  }
  return out;
}

json::Array rules_array(const std::vector<Rule>& rules) {
  json::Array out;
  for (const auto& r : rules) out.push_back(r.to_object());
  return out;
}

json::Value role_object(const PolicyTable& table, const RoleRow& row) {
  json::Value role = json::Object{{"apiVersion", kVersion}, {"kind", row.ns.empty() ? "ClusterRole" : "Role"}};
  json::set(role, metadata_of(row.ns, row.name), "metadata");
  if (!row.aggregate_to.empty()) json::set(role, "true", "metadata", "labels", aggregation_label(row.aggregate_to));
  if (row.aggregated) {
    json::Object labels{{aggregation_label(row.name), "true"}};
    json::Array selectors;
    selectors.push_back(json::Object{{"matchLabels", std::move(labels)}});
    json::set(role, json::Object{{"clusterRoleSelectors", std::move(selectors)}}, "aggregationRule");
  }
  json::set(role, rules_array(row.aggregated ? aggregated_rules(table, row.name) : row.rules), "rules");
  return role;
}

json::Value subject_object(std::string_view text) {
  auto colon = text.find(':');
  std::string_view kind = text.substr(0, colon), name = text.substr(colon + 1);
  if (kind == "ServiceAccount") {
    auto slash = name.find('/');
    return json::Object{{"kind", kind}, {"name", name.substr(slash + 1)}, {"namespace", name.substr(0, slash)}};
  }
  return json::Object{{"apiGroup", kGroup}, {"kind", kind}, {"name", name}};
}

json::Value binding_object(const BindingRow& row) {
  json::Value b =
      json::Object{{"apiVersion", kVersion}, {"kind", row.ns.empty() ? "ClusterRoleBinding" : "RoleBinding"}};
  json::set(b, metadata_of(row.ns, row.name), "metadata");
  json::set(b, json::Object{{"apiGroup", kGroup}, {"kind", row.role_kind}, {"name", row.role}}, "roleRef");
  json::Array subjects;
  for (const auto& s : row.subjects) subjects.push_back(subject_object(s));
  if (!subjects.empty()) json::set(b, std::move(subjects), "subjects");
  return b;
}

// Adds to a list field what it lacks; true when something was added.
bool add_missing(json::Value& object, const json::Value& wanted, std::string_view field) {
  const auto& list = json::list(wanted, field);
  if (list.empty()) return false;
  auto& have = json::ensure(object, field);
  if (!have.is_array()) have.emplace_array();
  bool added = false;
  for (const auto& item : list)
    if (std::ranges::find(have.get_array(), item) == have.get_array().end()) {
      have.get_array().push_back(item);
      added = true;
    }
  return added;
}

bool add_missing_rules(json::Value& object, const json::Value& wanted) {
  auto missing = uncovered(rules_of(object), rules_of(wanted));
  if (missing.empty()) return false;
  auto& have = json::ensure(object, "rules");
  if (!have.is_array()) have.emplace_array();
  for (const auto& rule : missing) have.get_array().push_back(rule.to_object());
  return true;
}

bool complete(const json::Value& current, const json::Value& wanted) {
  if (json::str(current, "metadata", "annotations", kAutoUpdate) == "false") return true;
  json::Value copy = current;
  bool changed = add_missing_rules(copy, wanted);
  return !(add_missing(copy, wanted, "subjects") || changed);
}

struct Progress {
  std::size_t left = 0;
  std::optional<Error> error;
  Event done;
};

Task<Result<void>> reconcile_one(const ObjectReader& reader, ObjectWriter& writer, json::Value wanted) {
  auto kind = api::find_kind_by_name(kVersion, json::str(wanted, "kind"));
  std::string ns(json::str(wanted, "metadata", "namespace")), name(json::str(wanted, "metadata", "name"));
  auto current = reader.get(*kind, ns, name);
  if (!current) {
    auto made = co_await writer.create(kind, wanted);
    if (made || made.error().code == Code::kAlreadyExists) co_return Result<void>();
    co_return std::unexpected(std::move(made.error()).with_context("creating " + kind->kind + " \"" + name + "\""));
  }
  if (complete(*current, wanted)) co_return Result<void>();
  ObjectWriter::Change change = [wanted](json::Value& object) -> Result<void> {
    if (json::str(object, "metadata", "annotations", kAutoUpdate) == "false") return {};
    add_missing_rules(object, wanted);
    add_missing(object, wanted, "subjects");
    return {};
  };
  auto changed = co_await writer.mutate(kind, ns, name, change);
  if (!changed)
    co_return std::unexpected(std::move(changed.error()).with_context("updating " + kind->kind + " \"" + name + "\""));
  co_return Result<void>();
}

Task<void> reconcile_part(const ObjectReader& reader, ObjectWriter& writer, json::Value wanted, Progress& progress) {
  auto result = co_await reconcile_one(reader, writer, std::move(wanted));
  if (!result && !progress.error) progress.error = std::move(result.error());
  if (--progress.left == 0) progress.done.notify();
}

}  // namespace

const PolicyTable& policy_table() {
  static const PolicyTable table = [] {
    PolicyTable t;
    rows::user_roles(t);
    rows::component_roles(t);
    rows::controller_roles(t);
    return t;
  }();
  return table;
}

std::vector<json::Value> bootstrap_objects() {
  std::vector<json::Value> out;
  for (const auto& row : policy_table().roles) out.push_back(role_object(policy_table(), row));
  for (const auto& row : policy_table().bindings) out.push_back(binding_object(row));
  return out;
}

std::vector<Rule> cluster_role_rules(std::string_view name) {
  for (const auto& row : policy_table().roles)
    if (row.ns.empty() && row.name == name) return row.aggregated ? aggregated_rules(policy_table(), name) : row.rules;
  return {};
}

Task<Result<void>> reconcile_policy(const ObjectReader& reader, ObjectWriter& writer) {
  auto objects = bootstrap_objects();
  Progress progress{.left = objects.size(), .error = {}, .done = {}};
  Scope scope(*Loop::current());
  for (auto& object : objects)
    scope.spawn("bootstrap-policy", reconcile_part(reader, writer, std::move(object), progress));
  while (progress.left > 0) co_await progress.done.wait();
  co_await scope.close();
  if (progress.error) co_return std::unexpected(std::move(*progress.error));
  co_return Result<void>();
}

}  // namespace lab::apiserver::authz
