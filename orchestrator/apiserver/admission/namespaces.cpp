// NamespaceLifecycle: nothing is made in a namespace that is absent or going away, and the system's own stay.
#include "orchestrator/apiserver/admission/admission.h"

namespace lab::apiserver::admission {

Result<void> namespace_lifecycle(WriteContext& ctx, const json::Value* old, json::Value* object) {
  if (is(ctx, "", "namespaces")) {
    bool immortal = ctx.name == "default" || ctx.name == "kube-system" || ctx.name == "kube-public";
    if (ctx.verb == "delete" && immortal) return refuse(ctx, "this namespace may not be deleted");
    return {};
  }
  // Whatever exists may be changed and deleted, also while its namespace ends.
  if (!ctx.kind.namespaced || ctx.kind.virtual_kind || ctx.verb == "delete") return {};
  static const api::KindPtr namespaces = api::find_kind("", "v1", "namespaces");
  auto ns = ctx.reader.get(*namespaces, {}, ctx.ns);
  if (!ns) return not_found("namespaces", ctx.ns);
  if (!is_create(ctx, old, object) || !json::has(*ns, "metadata", "deletionTimestamp")) return {};
  auto refusal = refuse(ctx, "unable to create new content in namespace " + ctx.ns + " because it is being terminated");
  json::Value details = *json::parse(refusal.error().details);
  json::Array causes;
  causes.push_back(json::Object{{"reason", "NamespaceTerminating"},
                                {"message", "namespace " + ctx.ns + " is being terminated"},
                                {"field", "metadata.namespace"}});
  json::set(details, std::move(causes), "causes");
  refusal.error().details = json::dump(details);
  return refusal;
}

}  // namespace lab::apiserver::admission
