// Default classes of claims and Ingresses, and the finalizers that keep volumes in use.
#include <algorithm>

#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/admission/edit.h"

namespace lab::apiserver::admission {
namespace {

using json::Value;

// The newest of the objects annotated as default; null when none is.
ObjectPtr default_of(const WriteContext& ctx, const api::Kind& kind, std::string_view annotation) {
  ObjectPtr best;
  for (const auto& o : ctx.reader.list(kind)) {
    if (json::str(*o, "metadata", "annotations", annotation) != "true") continue;
    auto newer = [&] {
      auto a = json::str(*o, "metadata", "creationTimestamp"), b = json::str(*best, "metadata", "creationTimestamp");
      return a != b ? a > b : json::str(*o, "metadata", "name") < json::str(*best, "metadata", "name");
    };
    if (!best || newer()) best = o;
  }
  return best;
}

}  // namespace

Result<void> default_storage_class(WriteContext& ctx, const Value* old, Value* object) {
  if (!is(ctx, "", "persistentvolumeclaims") || !is_create(ctx, old, object)) return {};
  // "" asks for a volume without a class.
  if (json::has(*object, "spec", "storageClassName") ||
      json::has(*object, "metadata", "annotations", "volume.beta.kubernetes.io/storage-class"))
    return {};
  static const api::KindPtr classes = api::find_kind("storage.k8s.io", "v1", "storageclasses");
  if (auto found = default_of(ctx, *classes, "storageclass.kubernetes.io/is-default-class"))
    json::set(*object, json::str(*found, "metadata", "name"), "spec", "storageClassName");
  return {};
}

Result<void> default_ingress_class(WriteContext& ctx, const Value* old, Value* object) {
  if (!is(ctx, "networking.k8s.io", "ingresses") || !is_create(ctx, old, object)) return {};
  if (json::has(*object, "spec", "ingressClassName") ||
      json::has(*object, "metadata", "annotations", "kubernetes.io/ingress.class"))
    return {};
  static const api::KindPtr classes = api::find_kind("networking.k8s.io", "v1", "ingressclasses");
  if (auto found = default_of(ctx, *classes, "ingressclass.kubernetes.io/is-default-class"))
    json::set(*object, json::str(*found, "metadata", "name"), "spec", "ingressClassName");
  return {};
}

Result<void> storage_object_in_use(WriteContext& ctx, const Value* old, Value* object) {
  if (!is_create(ctx, old, object)) return {};
  std::string_view finalizer = is(ctx, "", "persistentvolumeclaims") ? "kubernetes.io/pvc-protection"
                               : is(ctx, "", "persistentvolumes")    ? "kubernetes.io/pv-protection"
                                                                     : std::string_view();
  if (finalizer.empty()) return {};
  auto& list = make_list(*object, "metadata", "finalizers");
  if (std::ranges::find(list, Value(finalizer)) == list.end()) list.emplace_back(finalizer);
  return {};
}

}  // namespace lab::apiserver::admission
