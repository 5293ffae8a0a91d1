// Admission webhooks around the registry's writes.
#include "orchestrator/apiserver/registry.h"

namespace lab::apiserver {
namespace {

json::Object options_head(std::string_view kind, const WriteOptions& options) {
  json::Object out{{"kind", kind}, {"apiVersion", "meta.k8s.io/v1"}};
  if (options.dry_run) out["dryRun"] = json::Array{"All"};
  return out;
}

// CreateOptions or UpdateOptions, as the request gave them.
json::Value write_options_value(std::string_view operation, const WriteOptions& options) {
  auto out = options_head(operation == "CREATE" ? "CreateOptions" : "UpdateOptions", options);
  if (options.names_manager) out["fieldManager"] = options.field_manager;
  if (options.names_validation)
    out["fieldValidation"] = options.field_validation == FieldValidation::kStrict   ? "Strict"
                             : options.field_validation == FieldValidation::kIgnore ? "Ignore"
                                                                                    : "Warn";
  return out;
}

json::Value delete_options_value(const DeleteRequest& request, const WriteOptions& options) {
  auto out = options_head("DeleteOptions", options);
  if (request.grace_seconds) out["gracePeriodSeconds"] = *request.grace_seconds;
  if (!request.propagation.empty()) out["propagationPolicy"] = request.propagation;
  if (request.orphan_dependents) out["orphanDependents"] = *request.orphan_dependents;
  json::Object preconditions;
  if (!request.uid.empty()) preconditions["uid"] = request.uid;
  if (!request.resource_version.empty()) preconditions["resourceVersion"] = request.resource_version;
  if (!preconditions.empty()) out["preconditions"] = std::move(preconditions);
  return out;
}

// One pass over the mutating webhooks, in the form that the subresource shows of the object.
Task<Result<bool>> pass(WebhookRun& run, const json::Value* old, json::Value& object, const WriteOptions& options) {
  if (!options.shown_as) co_return co_await run.mutate(old, &object);
  const auto& as = *options.shown_as;
  const json::Value before = old ? as.show(*old) : json::Value();
  json::Value shown = as.show(object);
  LAB_CO_TRY(const bool changed, co_await run.mutate(old ? &before : nullptr, &shown));
  if (changed) {
    LAB_CO_TRY(object, as.take(std::move(object), shown));
  }
  co_return changed;
}

}  // namespace

std::unique_ptr<WebhookRun> Registry::webhooks_for(std::string_view operation, const api::KindPtr& kind,
                                                   const api::KindPtr& working, const WriteContext& ctx,
                                                   const WriteOptions& options, const DeleteRequest* deletion) const {
  Admission admission{.operation = operation,
                      .resource = kind,
                      .object = options.shown_as ? nullptr : working,
                      .kind = options.shown_as ? options.shown_as->kind : webhooks::ObjectKind{},
                      .subresource = ctx.subresource,
                      .ns = ctx.ns,
                      .name = ctx.name,
                      .user = &options.user,
                      .dry_run = options.dry_run,
                      .options = {},
                      .warnings = options.warnings};
  admission.options = deletion ? delete_options_value(*deletion, options) : write_options_value(operation, options);
  return webhooks_.begin(admission);
}

// The server's own plugins go first, and once more where a webhook has changed the object; then those webhooks that ask
// for it are called again.
Task<Result<void>> Registry::mutate_by(WebhookRun& run, WriteContext& ctx, const json::Value* old, json::Value& object,
                                       const WriteOptions& options) {
  LAB_CO_CHECK(policy_.admit_before_webhooks(ctx, old, &object));
  complete_encoding(ctx.kind, object);
  LAB_CO_TRY(const bool changed, co_await pass(run, old, object, options));
  if (!changed) co_return Result<void>();
  LAB_CO_CHECK(policy_.admit_before_webhooks(ctx, old, &object));
  complete_encoding(ctx.kind, object);
  LAB_CO_TRY([[maybe_unused]] const bool again, co_await pass(run, old, object, options));
  co_return Result<void>();
}

Task<Result<void>> Registry::validate_by(WebhookRun& run, const json::Value* old, const json::Value& object,
                                         const WriteOptions& options) {
  if (!options.shown_as) co_return co_await run.validate(old, &object);
  const auto& as = *options.shown_as;
  const json::Value before = old ? as.show(*old) : json::Value(), shown = as.show(object);
  co_return co_await run.validate(old ? &before : nullptr, &shown);
}

Task<Result<void>> Registry::admit_deletion(api::KindPtr kind, api::KindPtr storage, WriteContext& ctx,
                                            const json::Value& object, const WriteOptions& options,
                                            const DeleteRequest& request) {
  auto run = webhooks_for("DELETE", kind, storage, ctx, options, &request);
  if (!run) co_return Result<void>();
  LAB_CO_TRY([[maybe_unused]] const bool changed, co_await run->mutate(&object, nullptr));
  co_return co_await run->validate(&object, nullptr);
}

}  // namespace lab::apiserver
