// Admission: the chain of plugins that every write passes after defaulting, in kube-apiserver's order and under its
// names.
//
// A plugin may change the object (create and update), or refuse the write; what it needs to know it reads through the
// context. Plugins are functions, made once by make_plugins(); thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/apiserver/authz/authz.h"
#include "orchestrator/apiserver/hooks.h"

namespace lab::apiserver::admission {

struct Plugin {
  std::string_view name;
  // `object` is null on delete, `old` on create.
  std::function<Result<void>(WriteContext& ctx, const json::Value* old, json::Value* object)> admit;
};

// In the order they run.
inline constexpr int kFailureToleration =
    300;  // seconds that pods stay on a node that is lost, unless they say otherwise
std::vector<Plugin> make_plugins(const authz::ChainAuthorizer& authorizer, int failure_toleration = kFailureToleration);

// The plugins, one file each.
Result<void> namespace_lifecycle(WriteContext&, const json::Value* old, json::Value* object);
Result<void> service_account(WriteContext&, const json::Value* old, json::Value* object);
Result<void> node_restriction(WriteContext&, const json::Value* old, json::Value* object);
Result<void> taint_nodes_by_condition(WriteContext&, const json::Value* old, json::Value* object);
Result<void> priority(WriteContext&, const json::Value* old, json::Value* object);
Result<void> default_toleration_seconds(WriteContext&, const json::Value* old, json::Value* object);
Result<void> default_tolerations(WriteContext&, const json::Value* old, json::Value* object, int seconds);
Result<void> runtime_class(WriteContext&, const json::Value* old, json::Value* object);
Result<void> default_storage_class(WriteContext&, const json::Value* old, json::Value* object);
Result<void> default_ingress_class(WriteContext&, const json::Value* old, json::Value* object);
Result<void> storage_object_in_use(WriteContext&, const json::Value* old, json::Value* object);
Result<void> limit_ranger(WriteContext&, const json::Value* old, json::Value* object);
Result<void> certificate_subject_restriction(WriteContext&, const json::Value* old, json::Value* object);
Plugin certificate_approval(const authz::ChainAuthorizer& authorizer);
Plugin certificate_signing(const authz::ChainAuthorizer& authorizer);
// Policies in CEL (KEP-3488): after everything that changes the object.
Result<void> validating_admission_policy(WriteContext&, const json::Value* old, json::Value* object);
// Why an expression of such a policy is not understood here; "" where it is.
std::string policy_expression_trouble(std::string_view expression);
Plugin resource_quota();

// Shared by the plugins.
inline bool is(const WriteContext& ctx, std::string_view group, std::string_view plural) {
  return ctx.kind.group == group && ctx.kind.plural == plural;
}
// Something new comes to be: by POST, or by a PUT of what was not there. Not a subresource.
inline bool is_create(const WriteContext& ctx, const json::Value* old, const json::Value* object) {
  return !old && object && ctx.subresource.empty();
}
// `pods "x" is forbidden: WHY`, with Status.details.
Failure refuse(const WriteContext& ctx, std::string_view why);
// 404 about another object than the one written.
Failure not_found(std::string_view qualified, std::string_view name);

}  // namespace lab::apiserver::admission
