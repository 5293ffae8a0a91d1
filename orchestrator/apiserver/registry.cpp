#include "orchestrator/apiserver/registry.h"

#include "orchestrator/api/codec.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/object_rules.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

// How long an acknowledged write may take to reach the cache; far above what a store's watch needs.
constexpr Duration kCacheLimit = std::chrono::seconds(10);

WriteOptions system_options(std::string_view verb, std::string_view subresource = {}) {
  WriteOptions options;
  options.user.username = "system:apiserver";
  options.user.groups = {std::string(kMastersGroup), std::string(kAuthenticatedGroup)};
  options.verb = verb;
  options.subresource = subresource;
  options.field_validation = FieldValidation::kIgnore;
  options.webhooks = false;  // what the server needs to work must not wait for what it serves
  return options;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

}  // namespace

Result<void> decode_strictly(const api::Kind& kind, json::Value& object, const WriteOptions& options,
                             std::vector<std::string>& warnings) {
  auto cannot = [&](const std::string& why) {
    return Failure(bad_request(kind.kind + " in version \"" + kind.version + "\" cannot be handled as a " + kind.kind +
                               ": " + why));
  };
  if (!object.is_object()) return cannot("json: cannot unmarshal value into Go value of type " + kind.kind);
  auto api_version = json::str(object, "apiVersion"), name = json::str(object, "kind");
  if (!api_version.empty() && api_version != kind.api_version())
    return Failure(bad_request("the API version in the data (" + std::string(api_version) +
                               ") does not match the expected API version (" + kind.api_version() + ")"));
  if (!name.empty() && name != kind.kind)
    return cannot("the kind in the data (" + std::string(name) + ") does not match the expected kind (" + kind.kind +
                  ")");
  json::set(object, kind.api_version(), "apiVersion");
  json::set(object, kind.kind, "kind");
  const auto* type = kind.schema.empty() ? nullptr : api::find_type(kind.schema);
  std::vector<std::string> pruned;
  if (const auto* custom = as_custom(kind)) prune_custom(custom->object_schema, object, pruned);
  if (options.field_validation != FieldValidation::kIgnore) {
    auto findings = std::move(pruned);
    if (type)
      for (auto& f : api::unknown_fields(*type, object)) findings.push_back(std::move(f));
    findings.insert(findings.end(), options.duplicate_fields.begin(), options.duplicate_fields.end());
    if (!findings.empty() && options.field_validation == FieldValidation::kStrict)
      return cannot("strict decoding error: " + joined(findings));
    warnings.insert(warnings.end(), findings.begin(), findings.end());
  }
  if (!type) return {};
  if (auto normal = api::normalize(*type, object); !normal) {
    if (normal.error().code != Code::kBadRequest) return std::unexpected(std::move(normal).error());
    return cannot(normal.error().message);
  }
  return {};
}

void complete_encoding(const api::Kind& kind, json::Value& object) {
  if (kind.schema.empty()) return;
  if (const auto* type = api::find_type(kind.schema)) api::add_zero_values(*type, object);
}

Registry::Registry(store::Store& store, WatchCache& cache, const KindTable& kinds, const WritePolicy& policy,
                   const Conversion& conversion, const AdmissionWebhooks& webhooks)
    : store_(store), cache_(cache), kinds_(kinds), policy_(policy), conversion_(conversion), webhooks_(webhooks) {}

api::KindPtr Registry::working_kind(const api::KindPtr& kind, const api::KindPtr& storage) {
  return as_custom(*kind) ? kind : storage;
}

api::KindPtr Registry::storage_kind(const api::Kind& kind) const {
  auto table = kinds_.snapshot();
  auto it = table->storage.find(kind.storage_prefix);
  return it == table->storage.end() ? nullptr : it->second;
}

WriteContext Registry::context(const api::Kind& kind, std::string ns, std::string name,
                               const WriteOptions& options) const {
  WriteContext ctx{.user = options.user,
                   .verb = options.verb,
                   .kind = kind,
                   .ns = std::move(ns),
                   .name = std::move(name),
                   .subresource = options.subresource,
                   .dry_run = options.dry_run,
                   .reader = cache_,
                   .now = Loop::current()->wall()};
  return ctx;
}

namespace {

// The store's words on a guard of another key than the object's own are not about the object: somebody was quicker with
// what a hook had seen free. That is a lost race, whatever became of that key.
Error about_object(Error error, const std::string& key) {
  const bool guard = error.code == Code::kAlreadyExists || error.code == Code::kNotFound;
  if (guard && !error.message.starts_with("key " + key + ":")) error.code = Code::kConflict;
  return error;
}

}  // namespace

// On success the context's on_commit has run, on failure its on_abort.
Task<Result<store::Revision>> Registry::commit(WriteContext& ctx, std::string key, store::Bytes value, ObjectMeta meta,
                                               std::optional<store::Revision> expect) {
  store::Txn txn;
  txn.changes.push_back({key, value, expect});
  for (auto& change : ctx.changes) txn.changes.push_back(std::move(change));
  txn.guards = std::move(ctx.guards);
  if (value) cache_.announce(value, std::move(meta));
  OneShot<Result<store::Committed>> done;
  store_.commit(std::move(txn), [done](Result<store::Committed> r) mutable { done.set(std::move(r)); });
  auto committed = co_await done.wait();
  // A store in another process gives back other bytes than were announced.
  if (value && (!committed || store_.shared())) cache_.forget(value);
  if (!committed) {
    for (auto& undo : ctx.on_abort) undo();
    co_return std::unexpected(about_object(std::move(committed).error(), key));
  }
  for (auto& then : ctx.on_commit) then();
  if (!co_await cache_.wait_for(committed->revision, kCacheLimit))
    co_return fail(Code::kTimeout, "the write is stored, but the watch cache has not seen it in time",
                   "read the object again before repeating the request");
  co_return committed->revision;
}

Task<Result<void>> Registry::catch_up() {
  if (!store_.shared()) co_return Result<void>();
  OneShot<Result<store::Committed>> done;
  store_.sync([done](Result<store::Committed> r) mutable { done.set(std::move(r)); });
  LAB_CO_TRY(auto now, co_await done.wait());
  if (!co_await cache_.wait_for(now.revision, kCacheLimit))
    co_return fail(Code::kTimeout, "the watch cache did not reach the store's revision " + std::to_string(now.revision),
                   "see the server's log on its connection to the store");
  co_return Result<void>();
}

Task<Result<Written>> Registry::put(WriteContext& ctx, const api::Kind& storage, json::Value object,
                                    store::Revision expect) {
  Written out;
  out.created = expect == 0;
  if (ctx.dry_run) {
    for (auto& undo : ctx.on_abort) undo();
    if (expect == 0 && cache_.find(storage, ctx.ns, ctx.name)) co_return Failure(already_exists(storage, ctx.name));
    out.value = std::move(object);
    out.warnings = std::move(ctx.warnings);
    co_return out;
  }
  auto bytes = std::make_shared<const std::string>(encode_stored(object));
  auto meta = meta_of(storage, object);
  auto key = storage_key(storage, ctx.ns, ctx.name);
  auto revision = co_await commit(ctx, key, bytes, meta, expect);
  if (!revision) co_return std::unexpected(std::move(revision).error());
  out.object = cache_.find(storage, ctx.ns, ctx.name);
  if (!out.object || out.object->revision() != *revision) {  // somebody wrote again already: answer what was written
    auto rest = std::string_view(key).substr(storage.storage_prefix.size());
    out.object = std::make_shared<CachedObject>(rest, *bytes, *revision, *revision, std::move(meta));
  }
  out.warnings = std::move(ctx.warnings);
  co_return out;
}

Task<Result<Written>> Registry::erase(WriteContext& ctx, const api::Kind& storage, CachedPtr current,
                                      json::Value value) {
  Written out;
  out.removed = true;
  if (ctx.dry_run) {
    for (auto& undo : ctx.on_abort) undo();
  } else {
    if (const auto& leaving = policy_.hooks_of(storage).before_leave) leaving(ctx, *current->value());
    auto revision = co_await commit(ctx, storage_key(storage, ctx.ns, ctx.name), nullptr, {}, current->revision());
    if (!revision) co_return std::unexpected(std::move(revision).error());
    if (const auto& after = policy_.hooks_of(storage).after_delete) after(ctx, value);
  }
  out.value = std::move(value);
  out.warnings = std::move(ctx.warnings);
  co_return out;
}

Task<Result<json::Value>> Registry::create(api::KindPtr kind, json::Value object) {
  auto ns = std::string(json::str(object, "metadata", "namespace"));
  auto written = co_await create(kind, std::move(ns), std::move(object), system_options("create"));
  if (!written) co_return std::unexpected(std::move(written).error());
  co_return *written->object->value();
}

Task<Result<json::Value>> Registry::mutate(api::KindPtr kind, std::string ns, std::string name, Change change,
                                           std::string subresource) {
  Transform transform = [change = std::move(change)](const json::Value& current) -> Result<json::Value> {
    json::Value object = current;
    LAB_CHECK(change(object));
    return object;
  };
  auto written = co_await update(kind, std::move(ns), std::move(name), std::move(transform),
                                 system_options("update", subresource));
  if (!written) co_return std::unexpected(std::move(written).error());
  if (written->removed) co_return std::move(written->value);
  co_return *written->object->value();
}

Task<Result<void>> Registry::remove(api::KindPtr kind, std::string ns, std::string name) {
  auto written = co_await remove(kind, std::move(ns), std::move(name), DeleteRequest{}, system_options("delete"));
  if (!written) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

}  // namespace lab::apiserver
