#include "orchestrator/apiserver/resources.h"

#include <algorithm>

#include "orchestrator/apiserver/node_proxy.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

bool has_verb(const api::Kind& kind, std::string_view verb) {
  return std::ranges::find(kind.verbs, verb) != kind.verbs.end();
}

bool is(const api::Kind& kind, std::string_view group, std::string_view plural) {
  return kind.group == group && kind.plural == plural;
}

// Subresources that are the object itself seen through a narrower door: get, update and patch.
bool is_partial_object(const api::Kind& kind, std::string_view subresource) {
  if (subresource == "status") return kind.status;
  if (subresource == "ephemeralcontainers" || subresource == "resize") return is(kind, "", "pods");
  if (subresource == "finalize") return is(kind, "", "namespaces");
  if (subresource == "approval") return is(kind, "certificates.k8s.io", "certificatesigningrequests");
  return false;
}

}  // namespace

Resources::Resources(Registry& registry, const KindTable& kinds, const CallTable& calls, NodeProxy& node_proxy)
    : registry_(registry), kinds_(kinds), calls_(calls), node_proxy_(node_proxy) {}

Result<View> Resources::view(const RequestContext& request, const Target& target) const {
  LAB_TRY(auto accepted, negotiate(request.request, request.query, !target.kind->schema.empty()));
  LAB_TRY(auto include, parse_include_object(request.query.get("includeObject")));
  // Custom resources come in the requested version, see in_version().
  const auto& given = Conversion::varies(*target.kind) ? *target.kind : *target.storage;
  return View{*target.kind, given, std::move(accepted), include};
}

Task<Result<std::vector<CachedPtr>>> Resources::in_version(Target target, std::vector<CachedPtr> objects) const {
  if (!Conversion::varies(*target.kind)) co_return std::move(objects);
  co_return co_await registry_.conversion().convert_stored(target.kind, std::move(objects));
}

Task<Reply> Resources::serve(RequestContext& request) {
  const auto& info = request.info;
  Target target;
  target.kind = kinds_.snapshot()->find(info.group, info.version, info.resource);
  if (!target.kind) co_return Failure(not_found_path());
  target.storage = target.kind->virtual_kind ? target.kind : registry_.storage_kind(*target.kind);
  if (!target.storage) target.storage = target.kind;
  if (target.kind->namespaced) target.ns = info.ns;
  target.name = info.name;
  // What names a version waits for that version alone; everything else is to see all that any master acknowledged.
  const bool current = request.query.get("resourceVersion").empty() && request.query.get("continue").empty();
  if (!target.kind->virtual_kind && (current || (info.verb != "get" && info.verb != "list" && info.verb != "watch")))
    LAB_CO_CHECK(co_await registry_.catch_up());
  if (info.subresource.empty()) co_return co_await dispatch(request, std::move(target));
  co_return co_await dispatch_subresource(request, std::move(target));
}

Task<Reply> Resources::dispatch(RequestContext& request, Target target) {
  const auto& verb = request.info.verb;
  const auto& kind = *target.kind;
  if (!has_verb(kind, verb)) co_return Failure(method_not_supported(request.request.method));
  if (const auto* handler = calls_.find(kind.group, kind.plural, ""))
    co_return co_await call(request, target, *handler);
  bool needs_namespace = kind.namespaced && verb != "list" && verb != "watch";
  if (needs_namespace && target.ns.empty()) co_return Failure(method_not_supported(request.request.method));
  if (verb == "get") co_return co_await get(request, std::move(target));
  if (verb == "list") co_return co_await list(request, std::move(target));
  if (verb == "watch") co_return co_await watch(request, std::move(target));
  if (verb == "create") {
    if (!target.name.empty()) co_return Failure(method_not_supported(request.request.method));
    co_return co_await create(request, std::move(target));
  }
  if (verb == "deletecollection") co_return co_await remove_collection(request, std::move(target));
  if (target.name.empty()) co_return Failure(method_not_supported(request.request.method));
  if (verb == "update") co_return co_await update(request, std::move(target));
  if (verb == "patch") co_return co_await patch(request, std::move(target));
  if (verb == "delete") co_return co_await remove(request, std::move(target));
  co_return Failure(method_not_supported(request.request.method));
}

Task<Reply> Resources::dispatch_subresource(RequestContext& request, Target target) {
  const auto& info = request.info;
  const auto& kind = *target.kind;
  if (kind.namespaced && target.ns.empty()) co_return Failure(not_found_path());
  if (const auto* handler = calls_.find(kind.group, kind.plural, info.subresource))
    co_return co_await call(request, target, *handler);
  if (is_partial_object(kind, info.subresource)) {
    if (info.verb == "get") co_return co_await get(request, std::move(target));
    if (info.verb == "update") co_return co_await update(request, std::move(target));
    if (info.verb == "patch") co_return co_await patch(request, std::move(target));
    co_return Failure(method_not_supported(request.request.method));
  }
  if (info.subresource == "scale" && kind.scale) co_return co_await scale(request, std::move(target));
  if (node_proxy_.serves(kind, info.subresource)) {
    if (info.subresource != "log" && registry_.webhooks().configured()) {
      LAB_CO_CHECK(co_await admit_connection(request, target));
    }
    co_return co_await node_proxy_.serve(request, kind);
  }
  co_return Failure(not_found_path());
}

}  // namespace lab::apiserver
