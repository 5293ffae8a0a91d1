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

// `decoded` in the storage version. The context learns the name.
Result<json::Value> Registry::prepare_create(const api::Kind& kind, WriteContext& ctx, const json::Value& decoded) {
  json::Value object = decoded;
  LAB_CHECK(fill_metadata(kind, ctx.ns, object, ctx.now));
  ctx.name = json::str(object, "metadata", "name");
  api::apply_defaults(kind, object);
  const auto* custom = as_custom(kind);
  if (custom) default_custom(custom->object_schema, object);
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
  return object;
}

Task<Result<Written>> Registry::create(api::KindPtr kind, std::string ns, json::Value object, WriteOptions options) {
  std::vector<std::string> warnings;
  LAB_CO_CHECK(decode_strictly(*kind, object, options, warnings));
  auto storage = storage_kind(*kind);
  if (!storage) co_return Failure(method_not_supported("create"));
  convert_version(*kind, *storage, object);
  json::Value managed = options.apply ? json::at(object, "metadata", "managedFields") : json::Value();
  bool generated = json::str(object, "metadata", "name").empty();
  for (int attempt = 1;; ++attempt) {
    auto ctx = context(*storage, ns, {}, options);
    ctx.warnings = warnings;
    auto prepared = prepare_create(*storage, ctx, object);
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
