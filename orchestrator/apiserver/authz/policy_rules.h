// Short forms for the rows of the policy table.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/apiserver/authz/policy.h"

namespace lab::apiserver::authz::rows {

inline constexpr std::string_view kRead = "get list watch";
inline constexpr std::string_view kWrite = "create delete deletecollection patch update";
inline constexpr std::string_view kReadWrite = "create delete deletecollection get list patch update watch";

// Space-separated lists; the core group is written "core".
Rule on(std::string_view verbs, std::string_view groups, std::string_view resources, std::string_view names = {});
Rule urls(std::string_view paths);
Rule events();

void controller_roles(PolicyTable& table);  // system:controller:NAME for kube-system/NAME
void component_roles(PolicyTable& table);   // scheduler, controller manager, nodes, DNS, bootstrapping
void user_roles(PolicyTable& table);        // cluster-admin, admin, edit, view, discovery

}  // namespace lab::apiserver::authz::rows
