#include "orchestrator/apiserver/admission/admission.h"

namespace lab::apiserver::admission {

std::vector<Plugin> make_plugins(const authz::ChainAuthorizer& authorizer, int failure_toleration) {
  return {
      {"NamespaceLifecycle", namespace_lifecycle},
      {"LimitRanger", limit_ranger},
      {"ServiceAccount", service_account},
      {"NodeRestriction", node_restriction},
      {"TaintNodesByCondition", taint_nodes_by_condition},
      {"Priority", priority},
      {"DefaultTolerationSeconds",
       [failure_toleration](WriteContext& ctx, const json::Value* old, json::Value* object) {
         return default_tolerations(ctx, old, object, failure_toleration);
       }},
      {"DefaultStorageClass", default_storage_class},
      {"StorageObjectInUseProtection", storage_object_in_use},
      {"RuntimeClass", runtime_class},
      certificate_approval(authorizer),
      certificate_signing(authorizer),
      {"CertificateSubjectRestriction", certificate_subject_restriction},
      {"DefaultIngressClass", default_ingress_class},
      {"ValidatingAdmissionPolicy", validating_admission_policy},
      // Last, so that it counts what the others made of the object.
      resource_quota(),
  };
}

namespace {

std::string qualified(const api::Kind& kind) {
  return kind.group.empty() ? kind.plural : kind.plural + "." + kind.group;
}

}  // namespace

Failure refuse(const WriteContext& ctx, std::string_view why) {
  json::Object details;
  if (!ctx.name.empty()) details["name"] = ctx.name;
  if (!ctx.kind.group.empty()) details["group"] = ctx.kind.group;
  details["kind"] = ctx.kind.plural;
  return Failure(Error{.code = Code::kForbidden,
                       .message = qualified(ctx.kind) + " \"" + (ctx.name.empty() ? "Unknown" : ctx.name) +
                                  "\" is forbidden: " + std::string(why),
                       .hint = {},
                       .sys_errno = 0,
                       .details = json::dump(details)});
}

Failure not_found(std::string_view qualified_resource, std::string_view name) {
  return Failure(Error{.code = Code::kNotFound,
                       .message = std::string(qualified_resource) + " \"" + std::string(name) + "\" not found",
                       .hint = {},
                       .sys_errno = 0,
                       .details = json::dump(json::Object{{"name", name}, {"kind", qualified_resource}})});
}

}  // namespace lab::apiserver::admission
