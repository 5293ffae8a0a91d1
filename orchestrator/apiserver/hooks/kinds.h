// Hooks of the kinds that need only a few lines each.
#pragma once

#include "orchestrator/apiserver/authz/authz.h"
#include "orchestrator/apiserver/hooks.h"

namespace lab::apiserver::hooks {

Hooks namespace_hooks();
Hooks job_hooks();
Hooks claim_hooks();
Hooks volume_hooks();
Hooks priority_class_hooks();
Hooks certificate_request_hooks();
// Whoever makes an admission policy in CEL is told what of it will not be understood; mutating ones are kept only.
Hooks cel_policy_hooks();
// Their matchConditions must be expressions that can be evaluated.
Hooks webhook_configuration_hooks();
// Roles and bindings: nobody gives away more than they hold.
Hooks rbac_hooks(const authz::ChainAuthorizer& authorizer);

}  // namespace lab::apiserver::hooks
