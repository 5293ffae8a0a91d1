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

// `old` and `object` in the request's version.
Result<Registry::Draft> Registry::begin_update(const api::Kind& kind, const api::Kind& working, WriteContext& ctx,
                                               const CachedObject& current, const json::Value& old, json::Value object,
                                               const WriteOptions& options) {
  LAB_CHECK(decode_strictly(kind, object, options, ctx.warnings));
  Draft draft{.old = old, .object = std::move(object), .managed = {}};
  convert_version(kind, working, draft.object);
  convert_version(kind, working, draft.old);
  draft.managed = json::at(options.apply ? draft.object : draft.old, "metadata", "managedFields");
  const std::string given(json::str(draft.object, "metadata", "resourceVersion"));
  LAB_CHECK(shape_update(working, ctx, draft));
  if (!given.empty() && given != "0" && given != std::to_string(current.revision()))
    return Failure(modified(kind, ctx.name));
  return draft;
}

// What no client and no webhook may change, and defaults.
Result<void> Registry::shape_update(const api::Kind& working, WriteContext& ctx, Draft& draft) {
  LAB_CHECK(keep_metadata(working, ctx.ns, ctx.name, draft.old, draft.object));
  if (!draft.managed.is_null()) json::set(draft.object, draft.managed, "metadata", "managedFields");
  isolate_subresource(working, ctx.subresource, draft.old, draft.object);
  api::apply_defaults(working, draft.object);
  if (const auto* custom = as_custom(working)) default_custom(custom->object_schema, draft.object);
  complete_encoding(working, draft.object);  // hooks compare with the stored object, which is complete
  return {};
}

Result<void> Registry::finish_update(const api::Kind& kind, const api::Kind& working, WriteContext& ctx,
                                     const CachedObject& current, Draft& draft, const WriteOptions& options) {
  auto& [old, object, managed] = draft;
  const auto& hooks = policy_.hooks_of(working);
  if (hooks.prepare_update) {
    LAB_CHECK(hooks.prepare_update(ctx, old, object));
  }
  LAB_CHECK(policy_.admit(ctx, &old, &object));
  // A binding is the server's own change of a field that clients may not change.
  bool own_change = ctx.subresource == "binding";
  auto findings =
      own_change ? std::vector<api::Finding>() : api::validate_update(working, old, object, ctx.subresource);
  if (const auto* custom = as_custom(working))
    for (auto& f : validate_custom(custom->object_schema, object)) findings.push_back(std::move(f));
  if (hooks.validate && !own_change)
    for (auto& f : hooks.validate(ctx, &old, object)) findings.push_back(std::move(f));
  if (!findings.empty()) return Failure(api::invalid(kind, ctx.name, findings));
  complete_encoding(working, object);
  // Where a pod runs is no change of what was asked for.
  if (ctx.subresource != "status" && !own_change) bump_generation(working, old, object);
  if (!options.apply)
    pass_ownership(working, old, object,
                   {.name = options.field_manager, .subresource = ctx.subresource, .now = ctx.now});
  // The stored form has no resourceVersion: compare without it.
  json::set(object, std::to_string(current.revision()), "metadata", "resourceVersion");
  return {};
}

// With webhooks in between.
Task<Result<json::Value>> Registry::admitted_update(api::KindPtr kind, api::KindPtr working, WriteContext& ctx,
                                                    CachedPtr current, const json::Value& old, json::Value object,
                                                    const WriteOptions& options) {
  LAB_CO_TRY(auto draft, begin_update(*kind, *working, ctx, *current, old, std::move(object), options));
  auto run = webhooks_for("UPDATE", kind, working, ctx, options);
  if (run && run->mutates()) {
    LAB_CO_CHECK(co_await mutate_by(*run, ctx, &draft.old, draft.object, options));
    LAB_CO_CHECK(shape_update(*working, ctx, draft));
  }
  LAB_CO_CHECK(finish_update(*kind, *working, ctx, *current, draft, options));
  if (run && run->validates()) {
    LAB_CO_CHECK(co_await validate_by(*run, &draft.old, draft.object, options));
  }
  co_return std::move(draft.object);
}

Task<Result<Written>> Registry::update(api::KindPtr kind, std::string ns, std::string name, Transform transform,
                                       WriteOptions options, bool may_create) {
  auto storage = storage_kind(*kind);
  if (!storage) co_return Failure(method_not_supported(options.verb));
  const auto working = working_kind(kind, storage);
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
    if (Conversion::varies(*kind)) {
      LAB_CO_TRY(old, co_await conversion_.convert_one(kind, std::move(old)));
    } else {
      convert_version(*storage, *kind, old);
    }
    auto wanted = transform(old);
    if (!wanted) co_return std::unexpected(std::move(wanted).error());
    bool pinned = !json::str(*wanted, "metadata", "resourceVersion").empty() && options.verb == "update";

    auto ctx = context(*working, ns, name, options);
    Result<json::Value> object;
    if (options.webhooks && webhooks_.configured()) {
      object = co_await admitted_update(kind, working, ctx, current, old, std::move(*wanted), options);
    } else {
      auto draft = begin_update(*kind, *working, ctx, *current, old, std::move(*wanted), options);
      auto done = draft ? finish_update(*kind, *working, ctx, *current, *draft, options)
                        : Result<void>(std::unexpected(std::move(draft).error()));
      object = done ? Result<json::Value>(std::move(draft->object)) : std::unexpected(std::move(done).error());
    }
    if (object && working != storage) object = co_await conversion_.convert_one(storage, std::move(*object));
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
