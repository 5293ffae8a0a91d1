// The bootstrap policy: the ClusterRoles, Roles and bindings that every cluster has, by Kubernetes' names, as one table
// (policy_table.cpp).
#pragma once

#include <string_view>
#include <vector>

#include "base/io/task.h"
#include "base/json.h"
#include "orchestrator/apiserver/authz/rule.h"
#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/apiserver/object_writer.h"

namespace lab::apiserver::authz {

struct RoleRow {
  std::string_view ns;  // "": a ClusterRole
  std::string_view name;
  std::vector<Rule> rules;
  std::string_view aggregate_to;  // "view", "edit", "admin": labelled to be taken into that role
  bool aggregated = false;        // its rules are those of the roles labelled for it
};
struct BindingRow {
  std::string_view ns;  // "": a ClusterRoleBinding
  std::string_view name;
  std::string_view role_kind, role;
  // "Group:x", "User:x", "ServiceAccount:ns/x"
  std::vector<std::string> subjects;
};
struct PolicyTable {
  std::vector<RoleRow> roles;
  std::vector<BindingRow> bindings;
};
const PolicyTable& policy_table();

// All of the table as objects, roles before bindings.
std::vector<json::Value> bootstrap_objects();
// The rules of a ClusterRole of the table.
std::vector<Rule> cluster_role_rules(std::string_view name);

// Makes what is missing, and adds to existing objects the rules and subjects they lack, unless their annotation
// rbac.authorization.kubernetes.io/autoupdate is "false". Nothing is taken away. Writes run side by side.
Task<Result<void>> reconcile_policy(const ObjectReader& reader, ObjectWriter& writer);

}  // namespace lab::apiserver::authz
