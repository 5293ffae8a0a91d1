#include "orchestrator/api/defaults.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/object_rules.h"
#include "orchestrator/apiserver/registry.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

// A generated name that is taken is replaced by another one this often, as kube-apiserver does since 1.30.
constexpr int kNameAttempts = 8;

}  // namespace

// `decoded` in the working version. The context learns the name.
Result<json::Value> Registry::begin_create(const api::Kind& kind, WriteContext& ctx, const json::Value& decoded) {
  json::Value object = decoded;
  LAB_CHECK(fill_metadata(kind, ctx.ns, object, ctx.now));
  ctx.name = json::str(object, "metadata", "name");
  api::apply_defaults(kind, object);
  if (const auto* custom = as_custom(kind)) default_custom(custom->object_schema, object);
  return object;
}

Result<void> Registry::finish_create(const api::Kind& kind, WriteContext& ctx, json::Value& object) {
  const auto* custom = as_custom(kind);
  const auto& hooks = policy_.hooks_of(kind);
  if (hooks.prepare_create) {
    LAB_CHECK(hooks.prepare_create(ctx, object));
  }
  LAB_CHECK(policy_.admit(ctx, nullptr, &object));
  auto findings = custom ? validate_custom(custom->object_schema, object) : api::validate_create(kind, object);
  if (hooks.validate)
    for (auto& f : hooks.validate(ctx, nullptr, object)) findings.push_back(std::move(f));
  if (!findings.empty()) return Failure(api::invalid(kind, ctx.name, findings));
  complete_encoding(kind, object);
  return {};
}

// With webhooks in between.
Task<Result<json::Value>> Registry::admitted_create(api::KindPtr kind, api::KindPtr working, WriteContext& ctx,
                                                    const json::Value& decoded, const WriteOptions& options) {
  LAB_CO_TRY(auto object, begin_create(*working, ctx, decoded));
  auto run = webhooks_for("CREATE", kind, working, ctx, options);
  if (run && run->mutates()) {
    const json::Value given = json::at(object, "metadata");
    LAB_CO_CHECK(co_await mutate_by(*run, ctx, nullptr, object, options));
    for (auto field : {"name", "namespace", "uid", "creationTimestamp", "generation"})
      if (json::has(given, field)) json::set(object, json::at(given, field), "metadata", field);
  }
  LAB_CO_CHECK(finish_create(*working, ctx, object));
  if (run && run->validates()) {
    LAB_CO_CHECK(co_await validate_by(*run, nullptr, object, options));
  }
  co_return std::move(object);
}

Task<Result<Written>> Registry::create(api::KindPtr kind, std::string ns, json::Value object, WriteOptions options) {
  std::vector<std::string> warnings;
  LAB_CO_CHECK(decode_strictly(*kind, object, options, warnings));
  auto storage = storage_kind(*kind);
  if (!storage) co_return Failure(method_not_supported("create"));
  const auto working = working_kind(kind, storage);
  convert_version(*kind, *working, object);
  json::Value managed = options.apply ? json::at(object, "metadata", "managedFields") : json::Value();
  bool generated = json::str(object, "metadata", "name").empty();
  for (int attempt = 1;; ++attempt) {
    auto ctx = context(*working, ns, {}, options);
    ctx.warnings = warnings;
    Result<json::Value> prepared;
    if (options.webhooks && webhooks_.configured()) {
      prepared = co_await admitted_create(kind, working, ctx, object, options);
    } else if (prepared = begin_create(*working, ctx, object); prepared) {
      if (auto done = finish_create(*working, ctx, *prepared); !done)
        prepared = std::unexpected(std::move(done).error());
    }
    if (prepared && working != storage) prepared = co_await conversion_.convert_one(storage, std::move(*prepared));
    if (!prepared) {
      for (auto& undo : ctx.on_abort) undo();
      co_return std::unexpected(std::move(prepared).error());
    }
    if (!managed.is_null()) json::set(*prepared, managed, "metadata", "managedFields");
    auto written = co_await put(ctx, *storage, std::move(*prepared), 0);
    if (written) co_return written;
    bool taken = written.error().code == Code::kAlreadyExists;
    bool raced = written.error().code == Code::kConflict;  // a guard of a hook: what it looked at has changed
    if (attempt >= kNameAttempts || !(raced || (taken && generated))) {
      if (taken) co_return Failure(already_exists(*kind, ctx.name));
      co_return written;
    }
    // The winner's write may not have come into the cache yet.
    if (raced) co_await cache_.wait_for(store_.revision(), std::chrono::seconds(2));
  }
}

}  // namespace lab::apiserver
