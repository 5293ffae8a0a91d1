#include "orchestrator/api/defaults.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/object_rules.h"
#include "orchestrator/apiserver/registry.h"
#include "orchestrator/apiserver/server_side_apply.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr int kUpdateAttempts = 30;

bool lost_race(const Error& error) {
  return error.code == Code::kConflict || error.code == Code::kNotFound || error.code == Code::kAlreadyExists;
}

}  // namespace

// `old` and `object` in the request's version; the result in the storage version.
Result<json::Value> Registry::prepare_update(const api::Kind& kind, const api::Kind& storage, WriteContext& ctx,
                                             const CachedObject& current, const json::Value& old, json::Value object,
                                             const WriteOptions& options) {
  LAB_CHECK(decode_strictly(kind, object, options, ctx.warnings));
  json::Value stored_old = old;
  convert_version(kind, storage, object);
  convert_version(kind, storage, stored_old);
  json::Value managed = json::at(options.apply ? object : stored_old, "metadata", "managedFields");
  LAB_CHECK(keep_metadata(kind, ctx.ns, ctx.name, stored_old, object));
  if (!managed.is_null()) json::set(object, std::move(managed), "metadata", "managedFields");
  auto given = json::str(object, "metadata", "resourceVersion");
  if (!given.empty() && given != "0" && given != std::to_string(current.revision()))
    return Failure(modified(kind, ctx.name));
  isolate_subresource(storage, ctx.subresource, stored_old, object);
  api::apply_defaults(storage, object);
  const auto* custom = as_custom(storage);
  if (custom) default_custom(custom->object_schema, object);
  complete_encoding(storage, object);  // hooks compare with the stored object, which is complete
  const auto& hooks = policy_.hooks_of(storage);
  if (hooks.prepare_update) {
    LAB_CHECK(hooks.prepare_update(ctx, stored_old, object));
  }
  LAB_CHECK(policy_.admit(ctx, &stored_old, &object));
  // A binding is the server's own change of a field that clients may not change.
  bool own_change = ctx.subresource == "binding";
  auto findings =
      own_change ? std::vector<api::Finding>() : api::validate_update(storage, stored_old, object, ctx.subresource);
  if (hooks.validate && !own_change)
    for (auto& f : hooks.validate(ctx, &stored_old, object)) findings.push_back(std::move(f));
  if (!findings.empty()) return Failure(api::invalid(kind, ctx.name, findings));
  complete_encoding(storage, object);
  if (ctx.subresource != "status") bump_generation(storage, stored_old, object);
  if (!options.apply)
    pass_ownership(storage, stored_old, object,
                   {.name = options.field_manager, .subresource = ctx.subresource, .now = ctx.now});
  // The stored form has no resourceVersion: compare without it.
  json::set(object, std::to_string(current.revision()), "metadata", "resourceVersion");
  return object;
}

Task<Result<Written>> Registry::update(api::KindPtr kind, std::string ns, std::string name, Transform transform,
                                       WriteOptions options, bool may_create) {
  auto storage = storage_kind(*kind);
  if (!storage) co_return Failure(method_not_supported(options.verb));
  for (int attempt = 1;; ++attempt) {
    auto current = cache_.find(*storage, ns, name);
    if (!current) {
      if (!may_create || !options.subresource.empty()) co_return Failure(not_found(*kind, name));
      auto fresh = transform(json::Value());
      if (!fresh) co_return std::unexpected(std::move(fresh).error());
      json::erase(*fresh, "metadata", "resourceVersion");
      // The verb stays what was asked for: admission sees that this is a creation which nobody has authorised yet.
      co_return co_await create(kind, ns, std::move(*fresh), options);
    }
    auto shared = current->value();
    json::Value old = *shared;
    convert_version(*storage, *kind, old);
    auto wanted = transform(old);
    if (!wanted) co_return std::unexpected(std::move(wanted).error());
    bool pinned = !json::str(*wanted, "metadata", "resourceVersion").empty() && options.verb == "update";

    auto ctx = context(*storage, ns, name, options);
    auto object = prepare_update(*kind, *storage, ctx, *current, old, std::move(*wanted), options);
    if (!object) {
      for (auto& undo : ctx.on_abort) undo();
      co_return std::unexpected(std::move(object).error());
    }
    if (*object == *shared && ctx.changes.empty()) {  // nothing changed: nothing is written
      for (auto& undo : ctx.on_abort) undo();
      Written same;
      same.object = current;
      same.warnings = std::move(ctx.warnings);
      co_return same;
    }
    Result<Written> written;
    if (ready_for_removal(*storage, *object)) {
      written = co_await erase(ctx, *storage, current, std::move(*object));
    } else {
      written = co_await put(ctx, *storage, std::move(*object), current->revision());
    }
    if (written || !lost_race(written.error())) co_return written;
    if (pinned || attempt >= kUpdateAttempts) co_return Failure(modified(*kind, name));
    // The cache may not have the winner's write yet.
    co_await cache_.wait_for(store_.revision(), std::chrono::seconds(2));
  }
}

}  // namespace lab::apiserver
