#include <algorithm>
#include <charconv>

#include "orchestrator/api/codec.h"
#include "orchestrator/api/patch.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/object_rules.h"
#include "orchestrator/apiserver/resources.h"
#include "orchestrator/apiserver/server_side_apply.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

std::string_view media_type(std::string_view content_type) {
  auto end = content_type.find(';');
  content_type = content_type.substr(0, end);
  while (!content_type.empty() && content_type.back() == ' ') content_type.remove_suffix(1);
  return content_type;
}

Result<DeleteRequest> delete_request(const RequestContext& request, bool& dry_run) {
  DeleteRequest out;
  const auto& query = request.query;
  json::Value body;
  if (!request.request.body.empty()) {
    LAB_TRY(body, decode_request_body(request));
    if (auto kind = json::str(body, "kind"); !kind.empty() && kind != "DeleteOptions")
      return Failure(bad_request("the request body is a " + std::string(kind) + ", not DeleteOptions"));
  }
  if (const auto& grace = json::at(body, "gracePeriodSeconds"); !grace.is_null())
    out.grace_seconds = json::as_int(grace);
  if (auto text = query.get("gracePeriodSeconds"); !text.empty() && !out.grace_seconds) {
    std::int64_t seconds = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || end != text.data() + text.size())
      return Failure(bad_request("gracePeriodSeconds: Invalid value: \"" + std::string(text) + "\": must be a number"));
    out.grace_seconds = seconds;
  }
  out.propagation = json::str(body, "propagationPolicy");
  if (out.propagation.empty()) out.propagation = query.get("propagationPolicy");
  if (!out.propagation.empty() && out.propagation != "Orphan" && out.propagation != "Background" &&
      out.propagation != "Foreground")
    return Failure(bad_request("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"" +
                               out.propagation +
                               "\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""));
  if (const auto& orphan = json::at(body, "orphanDependents"); orphan.is_bool())
    out.orphan_dependents = orphan.get_bool();
  if (query.has("orphanDependents") && !out.orphan_dependents) out.orphan_dependents = query.flag("orphanDependents");
  out.uid = json::str(body, "preconditions", "uid");
  out.resource_version = json::str(body, "preconditions", "resourceVersion");
  if (!json::list(body, "dryRun").empty()) dry_run = true;
  return out;
}

bool is_apply(const RequestContext& request) {
  auto type = media_type(request.request.headers.get("Content-Type"));
  return type == "application/apply-patch+yaml" || type == "application/apply-patch+json";
}

void keep_warnings(RequestContext& request, Written& written) {
  for (auto& w : written.warnings) request.warnings.push_back(std::move(w));
}

}  // namespace

Result<WriteOptions> write_options(RequestContext& request) {
  WriteOptions out;
  out.user = request.user;
  out.verb = request.info.verb;
  out.subresource = request.info.subresource;
  out.warnings = &request.warnings;
  out.field_manager = request.query.get("fieldManager");
  out.names_manager = !out.field_manager.empty();
  if (out.field_manager.empty()) {
    auto agent = request.request.headers.get("User-Agent");
    out.field_manager = agent.substr(0, agent.find('/'));
    if (out.field_manager.empty()) out.field_manager = "unknown";
  }
  for (auto value : request.query.all("dryRun")) {
    if (value.empty()) continue;
    if (value != "All")
      return Failure(
          bad_request("dryRun: Unsupported value: \"" + std::string(value) + "\": supported values: \"All\""));
    out.dry_run = true;
  }
  auto validation = request.query.get("fieldValidation");
  out.names_validation = !validation.empty();
  if (validation == "Strict") {
    out.field_validation = FieldValidation::kStrict;
  } else if (validation == "Ignore") {
    out.field_validation = FieldValidation::kIgnore;
  } else if (!validation.empty() && validation != "Warn") {
    return Failure(bad_request("fieldValidation: Unsupported value: \"" + std::string(validation) +
                               "\": supported values: \"\", \"Ignore\", \"Warn\", \"Strict\""));
  }
  return out;
}

Result<json::Value> decode_request_body(const RequestContext& request, std::vector<std::string>* duplicates) {
  auto type = request.request.headers.get("Content-Type");
  return api::decode_body(type.empty() ? "application/json" : type, request.request.body, duplicates);
}

// A configuration that names what the schema does not is refused whatever fieldValidation says: nobody could own such a
// field.
Result<void> check_declared(const api::Kind& kind, const json::Value& config) {
  std::vector<std::string> unknown;
  if (const auto* custom = as_custom(kind)) {
    json::Value pruned = config;
    prune_custom(custom->object_schema, pruned, unknown);
  } else if (const auto* type = api::find_type(kind.schema)) {
    unknown = api::unknown_fields(*type, config);
  }
  if (unknown.empty()) return {};
  std::string text;
  for (const auto& finding : unknown) {
    auto open = finding.find('"'), close = finding.rfind('"');
    text += (unknown.size() > 1 ? "\n  ." : ".") + finding.substr(open + 1, close - open - 1) +
            ": field not declared in schema";
  }
  return Failure(bad_request("failed to create typed patch object (" +
                             std::string(json::str(config, "metadata", "namespace")) + "/" +
                             std::string(json::str(config, "metadata", "name")) + "; " + kind.api_version() +
                             ", Kind=" + kind.kind + "): " + (unknown.size() > 1 ? "errors:" : "") + text));
}

// The transform of a server-side apply.
Result<Registry::Transform> apply_transform(api::KindPtr kind, RequestContext& request) {
  if (request.query.get("fieldManager").empty())
    return Failure(
        bad_request("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for "
                    "apply patch"));
  std::vector<std::string> duplicates;
  LAB_TRY(auto config, api::decode_body("application/yaml", request.request.body, &duplicates));
  if (auto validation = request.query.get("fieldValidation"); !duplicates.empty() && validation != "Ignore") {
    std::string text = "error converting YAML to JSON: yaml: unmarshal errors:";
    for (const auto& d : duplicates) text += "\n  " + d;
    if (validation == "Strict") return Failure(bad_request("error strict decoding YAML: " + text));
    request.warnings.push_back(std::move(text));
  }
  if (!config.is_object()) return Failure(bad_request("the applied configuration is no object"));
  if (auto version = json::str(config, "apiVersion"); version != kind->api_version())
    return Failure(bad_request("the applied configuration is of version \"" + std::string(version) +
                               "\", the request of \"" + kind->api_version() + "\""));
  LAB_CHECK(check_declared(*kind, config));
  if (const auto* type = api::find_type(kind->schema)) {
    LAB_CHECK(api::normalize(*type, config));
  }
  json::set(config, request.info.name, "metadata", "name");
  Manager manager{.name = std::string(request.query.get("fieldManager")),
                  .subresource = request.info.subresource,
                  .force = request.query.flag("force"),
                  .now = Loop::current()->wall()};
  return [kind, config = std::move(config), manager = std::move(manager)](const json::Value& live) {
    return apply_config(*kind, live, config, manager);
  };
}

Result<Registry::Transform> patch_transform(const api::Kind& kind, const RequestContext& request) {
  auto type = media_type(request.request.headers.get("Content-Type"));
  if (type == "application/json-patch+json" || type == "application/merge-patch+json") {
    LAB_TRY(auto patch, json::parse(request.request.body));
    bool merge = type == "application/merge-patch+json";
    return [patch = std::move(patch), merge](const json::Value& current) -> Result<json::Value> {
      if (merge) return api::merge_patch(current, patch);
      return api::json_patch(current, patch);
    };
  }
  const auto* schema = kind.schema.empty() ? nullptr : api::find_type(kind.schema);
  if (type == "application/strategic-merge-patch+json" && schema) {
    LAB_TRY(auto patch, json::parse(request.request.body));
    return [patch = std::move(patch), schema](const json::Value& current) {
      return api::strategic_patch(*schema, current, patch);
    };
  }
  return fail(Code::kUnsupportedMedia,
              "the body of the request was in an unknown format - accepted media types include: "
              "application/json-patch+json, application/merge-patch+json" +
                  std::string(schema ? ", application/strategic-merge-patch+json, application/apply-patch+yaml" : ""));
}

// What a write came to, in the requested version.
Task<Reply> Resources::answer_written(View shown, Target target, Written written, int status) {
  if (written.object) {
    std::vector<CachedPtr> one{std::move(written.object)};
    LAB_CO_TRY(one, co_await in_version(target, std::move(one)));
    LAB_CO_TRY(auto answer, answer_object(shown, *one.front(), status));
    co_return answer;
  }
  LAB_CO_TRY(auto value, co_await registry_.conversion().convert_one(target.kind, std::move(written.value)));
  LAB_CO_TRY(auto answer, answer_value(shown, std::move(value), status));
  co_return answer;
}

Task<Reply> Resources::create(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  LAB_CO_TRY(auto options, write_options(request));
  LAB_CO_TRY(auto body, decode_request_body(request, &options.duplicate_fields));
  auto written = co_await registry_.create(target.kind, target.ns, std::move(body), std::move(options));
  if (!written) co_return std::unexpected(std::move(written).error());
  keep_warnings(request, *written);
  co_return co_await answer_written(std::move(shown), std::move(target), std::move(*written), 201);
}

Task<Reply> Resources::update(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  LAB_CO_TRY(auto options, write_options(request));
  LAB_CO_TRY(auto body, decode_request_body(request, &options.duplicate_fields));
  Registry::Transform transform = [&body](const json::Value&) -> Result<json::Value> { return body; };
  bool may_create = target.name.empty() ? false : allows_create_on_update(*target.kind);
  auto written = co_await registry_.update(target.kind, target.ns, target.name, std::move(transform),
                                           std::move(options), may_create);
  if (!written) co_return std::unexpected(std::move(written).error());
  keep_warnings(request, *written);
  int status = written->created ? 201 : 200;
  co_return co_await answer_written(std::move(shown), std::move(target), std::move(*written), status);
}

Task<Reply> Resources::patch(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  LAB_CO_TRY(auto options, write_options(request));
  options.apply = is_apply(request);
  auto transform = options.apply ? apply_transform(target.kind, request) : patch_transform(*target.kind, request);
  if (!transform) co_return std::unexpected(std::move(transform).error());
  bool may_create = options.apply;
  auto written = co_await registry_.update(target.kind, target.ns, target.name, std::move(*transform),
                                           std::move(options), may_create);
  if (!written) co_return std::unexpected(std::move(written).error());
  keep_warnings(request, *written);
  int status = written->created ? 201 : 200;
  co_return co_await answer_written(std::move(shown), std::move(target), std::move(*written), status);
}

Task<Reply> Resources::remove(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  LAB_CO_TRY(auto options, write_options(request));
  LAB_CO_TRY(auto wanted, delete_request(request, options.dry_run));
  bool cascades = wanted.orphan_dependents && !*wanted.orphan_dependents;
  auto written = co_await registry_.remove(target.kind, target.ns, target.name, std::move(wanted), std::move(options));
  if (!written) co_return std::unexpected(std::move(written).error());
  keep_warnings(request, *written);
  if (written->removed && !returns_deleted_object(*target.kind)) {
    shown.accepted.shape = Shape::kObject;
    LAB_CO_TRY(
        auto answer,
        answer_plain(shown.accepted,
                     success_status(*target.kind, target.name, json::str(written->value, "metadata", "uid")), 200));
    co_return answer;
  }
  int status = written->removed || !cascades ? 200 : 202;
  co_return co_await answer_written(std::move(shown), std::move(target), std::move(*written), status);
}

Task<Reply> Resources::remove_collection(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  LAB_CO_TRY(auto options, write_options(request));
  LAB_CO_TRY(auto wanted, delete_request(request, options.dry_run));
  LAB_CO_TRY(auto selection, parse_selection(*target.kind, *target.storage, target.ns, {},
                                             request.query.get("labelSelector"), request.query.get("fieldSelector")));
  auto found = registry_.cache().select(*target.storage, selection);
  for (const auto& object : found.items) {
    auto written = co_await registry_.remove(target.kind, object->ns(), object->name(), wanted, options);
    if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  }
  LAB_CO_TRY(found.items, co_await in_version(target, std::move(found.items)));
  LAB_CO_TRY(auto answer, answer_list(shown, found.items, {.revision = registry_.cache().revision()}));
  co_return answer;
}

Task<Reply> Resources::call(RequestContext& request, Target target, CallHandler handler) {
  // What is read of a virtual kind can be printed. All other answers are objects: who takes nothing but a Table is
  // refused.
  const bool readable = (request.info.verb == "get" || request.info.verb == "list") && target.kind->virtual_kind &&
                        request.info.subresource.empty();
  LAB_CO_TRY(auto accepted, negotiate(request.request, request.query, true, readable));
  LAB_CO_TRY(auto options, write_options(request));
  Call call{.user = request.user,
            .kind = target.kind,
            .verb = request.info.verb,
            .ns = target.ns,
            .name = target.name,
            .subresource = request.info.subresource,
            .query = request.query,
            .body = {},
            .dry_run = options.dry_run,
            .now = Loop::current()->wall(),
            .reader = registry_.cache(),
            .writer = registry_};
  if (!request.request.body.empty()) {
    LAB_CO_TRY(call.body, decode_request_body(request));
    auto kind = std::string(json::str(call.body, "kind")), version = std::string(json::str(call.body, "apiVersion"));
    if (target.kind->virtual_kind && call.subresource.empty()) {
      LAB_CO_CHECK(decode_strictly(*target.kind, call.body, options, request.warnings));
    } else if (const auto* type = api::type_of(version, kind)) {
      LAB_CO_CHECK(api::normalize(*type, call.body));
    }
  }
  if (call.verb == "get" || call.verb == "list") call.status = 200;
  if (call.verb == "create" && registry_.webhooks().configured()) {
    LAB_CO_CHECK(co_await admit_call(request, target, options, call.body));
  }
  auto result = co_await handler(call);
  for (auto& w : call.warnings) request.warnings.push_back(std::move(w));
  if (!result) co_return std::unexpected(std::move(result).error());
  LAB_CO_TRY(auto include, parse_include_object(request.query.get("includeObject")));
  View shown{*target.kind, *target.kind, std::move(accepted), include};
  LAB_CO_TRY(auto answer, call.verb == "list" && readable ? answer_values(shown, std::move(*result))
                                                          : answer_value(shown, std::move(*result), call.status));
  co_return answer;
}

}  // namespace lab::apiserver
