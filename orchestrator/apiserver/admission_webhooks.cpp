#include "orchestrator/apiserver/admission_webhooks.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "orchestrator/api/codec.h"
#include "orchestrator/api/defaults.h"
#include "orchestrator/api/patch.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

using webhooks::AdmissionAnswer;
using webhooks::Hook;
using webhooks::ObjectKind;
using webhooks::ResourceName;

constexpr std::string_view kGroup = "admissionregistration.k8s.io";

ResourceName resource_name(const api::Kind& kind) {
  return {kind.group, kind.version, kind.plural};
}

ObjectKind object_kind(const api::Kind& kind) {
  return {kind.group, kind.version, kind.kind};
}

std::string failed_calling(const Hook& hook, const std::string& why) {
  return "failed calling webhook \"" + hook.name + "\": " + why;
}

const json::Value& or_null(const json::Value* object) {
  return object ? *object : json::null_value();
}

void log_annotations(const Hook& hook, const AdmissionAnswer& answer) {
  for (const auto& [key, value] : answer.audit_annotations)
    log::info("audit annotation of a webhook", {{"key", hook.name + "/" + key}, {"value", value}});
}

}  // namespace

void WebhookRun::choose(const Hooks& hooks, const Admission& admission, const KindTable& kinds,
                        std::vector<Call>& out) {
  if (!hooks) return;
  const bool own_kind = admission.object != nullptr;
  auto call_as = [&](const Hook& hook, const api::KindPtr& version) {
    out.push_back({&hook, resource_name(*version), own_kind ? object_kind(*version) : request_.kind,
                   own_kind ? version : nullptr});
  };
  auto names = [&](const Hook& hook, const ResourceName& resource) {
    return std::ranges::any_of(hook.rules, [&](const webhooks::Rule& rule) {
      return matches(rule, {request_.operation, resource, request_.subresource, request_.ns});
    });
  };
  for (const auto& hook : *hooks) {
    if (names(hook, request_.resource)) {
      call_as(hook, admission.resource);
      continue;
    }
    if (!hook.equivalent || admission.resource->virtual_kind) continue;
    auto table = kinds.snapshot();
    for (const auto& other : table->kinds)
      if (other->storage_prefix == admission.resource->storage_prefix && !other->virtual_kind &&
          names(hook, resource_name(*other))) {
        call_as(hook, other);
        break;
      }
  }
}

Result<bool> WebhookRun::selects(const Hook& hook, const json::Value* old, const json::Value* object) const {
  const bool is_namespace = request_.resource.group.empty() && request_.resource.resource == "namespaces";
  if (!hook.namespaces.empty() && (!request_.ns.empty() || is_namespace)) {
    // A namespace that is being written is not in the caches yet.
    if (is_namespace && request_.subresource.empty() && object) {
      if (!hook.namespaces.matches(json::map(*object, "metadata", "labels"))) return false;
    } else {
      static const api::KindPtr namespaces = api::find_kind("", "v1", "namespaces");
      auto ns = reader_.get(*namespaces, "", request_.ns);
      if (!ns) return Failure(not_found(*namespaces, request_.ns));
      if (!hook.namespaces.matches(json::map(*ns, "metadata", "labels"))) return false;
    }
  }
  if (!hook.objects.empty()) {
    auto labelled = [&](const json::Value* o) {
      return o && json::at(*o, "metadata").is_object() && hook.objects.matches(json::map(*o, "metadata", "labels"));
    };
    if (!labelled(object) && !labelled(old)) return false;
  }
  return hook.conditions.empty() ? Result<bool>(true) : conditions_hold(hook, old, object);
}

// All must be true; one that is false decides even where another one cannot be told.
Result<bool> WebhookRun::conditions_hold(const Hook& hook, const json::Value* old, const json::Value* object) const {
  const json::Value facts = webhooks::request_facts(request_);
  const webhooks::Condition::Variables variables{
      {"object", &or_null(object)}, {"oldObject", &or_null(old)}, {"request", &facts}};
  std::string trouble;
  for (const auto& c : hook.conditions) {
    auto holds = c.condition.evaluate(variables);
    if (holds && !*holds) return false;
    if (!holds) trouble += (trouble.empty() ? "" : ", ") + ("\"" + c.name + "\": ") + holds.error().message;
  }
  if (trouble.empty()) return true;
  // Where it may be ignored, a webhook that cannot be told to be meant is not called.
  if (hook.ignore_failure) return false;
  const ResourceName& r = request_.resource;
  return fail(Code::kForbidden, r.resource + (r.group.empty() ? "" : "." + r.group) + " \"" + request_.name +
                                    "\" is forbidden: matchConditions of webhook \"" + hook.name +
                                    "\" cannot be evaluated: " + trouble);
}

Task<WebhookRun::Outcome<json::Value>> WebhookRun::in_version(const Call& call, const json::Value* object) const {
  if (!object) co_return json::Value();
  if (!call.version) co_return *object;
  auto converted = co_await conversion_.convert_one(call.version, *object);
  if (!converted) co_return std::unexpected(Trouble{false, std::move(converted).error()});
  co_return std::move(*converted);
}

void WebhookRun::warn(const std::string& text) {
  if (warnings_ && std::ranges::find(*warnings_, text) == warnings_->end()) warnings_->push_back(text);
}

Task<WebhookRun::Outcome<AdmissionAnswer>> WebhookRun::ask(const Call& call, json::Value old, json::Value object,
                                                           bool mutating) {
  const Hook& hook = *call.hook;
  auto trouble = [&hook](std::string why) {
    return std::unexpected(Trouble{true, Error{.code = Code::kInternal, .message = failed_calling(hook, why)}});
  };
  if (request_.dry_run && !hook.dry_runs)
    co_return std::unexpected(
        Trouble{false, bad_request("admission webhook \"" + hook.name + "\" does not support dry run")});
  if (hook.review_version.empty())
    co_return trouble(
        "could not create admission objects: webhook does not accept known AdmissionReview versions "
        "(v1, v1beta1)");
  const auto uid = crypto::random_uuid();
  auto review = webhooks::make_review(request_, hook.review_version, uid, call.as, call.as_kind, object, old);
  auto answer = co_await webhooks::post(reader_, hook.client, json::dump(review), hook.timeout);
  if (!answer) co_return trouble("failed to call webhook: " + answer.error().text());
  auto read = webhooks::read_review(*answer, hook.review_version, uid, mutating);
  if (!read) co_return trouble("received invalid webhook response: " + read.error().message);
  for (const auto& warning : read->warnings) warn(warning);
  log_annotations(hook, *read);
  if (!read->allowed)
    co_return std::unexpected(Trouble{false, error_of_status(webhooks::refusal_status(hook.name, read->status))});
  co_return std::move(*read);
}

// The patch was made for `given`, in the version that the webhook was asked in.
Task<WebhookRun::Outcome<bool>> WebhookRun::apply(const Call& call, json::Value given, json::Value patch,
                                                  json::Value* object) {
  auto trouble = [](Error error) {
    error.code = Code::kInternal;
    error.message = "Internal error occurred: " + error.message;
    return std::unexpected(Trouble{false, std::move(error)});
  };
  if (!object)
    co_return trouble({.message = "admission webhook \"" + call.hook->name +
                                  "\" attempted to modify the object, which is not supported for this operation"});
  auto patched = api::json_patch(given, patch);
  if (!patched) co_return trouble(std::move(patched).error());
  const bool changed = *patched != given;
  if (!changed) co_return false;
  if (call.version) {
    std::vector<std::string> pruned;
    if (const auto* custom = as_custom(*call.version)) {
      prune_custom(custom->object_schema, *patched, pruned);
      default_custom(custom->object_schema, *patched);
    } else if (const auto* type = api::find_type(call.version->schema)) {
      if (auto normal = api::normalize(*type, *patched); !normal) co_return trouble(std::move(normal).error());
      api::apply_defaults(*call.version, *patched);
    }
    patched = co_await conversion_.convert_one(object_kind_, std::move(*patched));
    if (!patched) co_return std::unexpected(Trouble{false, std::move(patched).error()});
  }
  *object = std::move(*patched);
  co_return true;
}

Task<WebhookRun::Outcome<bool>> WebhookRun::mutate_by(const Call& call, const json::Value* old, json::Value* object) {
  auto before = co_await in_version(call, old);
  if (!before) co_return std::unexpected(std::move(before).error());
  auto given = co_await in_version(call, object);
  if (!given) co_return std::unexpected(std::move(given).error());
  auto answer = co_await ask(call, std::move(*before), *given, true);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (json::as_array(answer->patch).empty()) {
    if (!answer->patch.is_null() && !answer->patch.is_array())
      co_return std::unexpected(Trouble{false, Error{.code = Code::kInternal,
                                                     .message = "Internal error occurred: webhook \"" +
                                                                call.hook->name + "\": the patch is no JSON Patch"}});
    co_return false;
  }
  co_return co_await apply(call, std::move(*given), std::move(answer->patch), object);
}

namespace {

// A webhook that could not be called, and must have been.
Error internal(Error error) {
  json::Object cause{{"message", error.message}};
  error.details = json::dump(json::Object{{"causes", json::Array{std::move(cause)}}});
  error.message = "Internal error occurred: " + error.message;
  return error;
}

void log_ignored(const Hook& hook, const Error& error) {
  log::warn("a webhook could not be called; its failurePolicy is Ignore",
            {{"webhook", hook.name}, {"configuration", hook.configuration}, {"reason", error.message}});
}

}  // namespace

Task<Result<bool>> WebhookRun::mutate(const json::Value* old, json::Value* object) {
  bool any = false;
  if (second_ && object && last_output_ != *object) again_.merge(called_);  // the server's own plugins changed it
  for (std::size_t i = 0; i < mutating_.size(); ++i) {
    const auto& call = mutating_[i];
    if (second_ && !again_.contains(i)) continue;
    LAB_CO_TRY(const bool selected, selects(*call.hook, old, object));
    if (!selected) continue;
    auto changed = co_await mutate_by(call, old, object);
    if (changed && *changed) {
      any = true;
      again_.merge(called_);  // those before it have not seen this
      called_.clear();
    }
    if (call.hook->reinvoke) called_.insert(i);
    if (changed) continue;
    if (!changed.error().calling) co_return std::unexpected(std::move(changed.error().error));
    if (!call.hook->ignore_failure) co_return Failure(internal(std::move(changed.error().error)));
    log_ignored(*call.hook, changed.error().error);
  }
  second_ = true;
  if (object) last_output_ = *object;
  co_return any;
}

Task<void> WebhookRun::validate_by(const Call& call, const json::Value* old, const json::Value* object,
                                   Result<void>& outcome) {
  auto before = co_await in_version(call, old);
  auto now = before ? co_await in_version(call, object) : Outcome<json::Value>(std::unexpected(before.error()));
  auto answer = now ? co_await ask(call, std::move(*before), std::move(*now), false)
                    : Outcome<AdmissionAnswer>(std::unexpected(now.error()));
  if (answer) co_return;
  auto& trouble = answer.error();
  if (trouble.calling && call.hook->ignore_failure) {
    log_ignored(*call.hook, trouble.error);
    co_return;
  }
  if (outcome) outcome = Failure(trouble.calling ? internal(std::move(trouble.error)) : std::move(trouble.error));
}

Task<Result<void>> WebhookRun::validate(const json::Value* old, const json::Value* object) {
  std::vector<const Call*> selected;
  for (const auto& call : validating_) {
    LAB_CO_TRY(const bool chosen, selects(*call.hook, old, object));
    if (chosen) selected.push_back(&call);
  }
  Result<void> outcome;
  if (selected.size() == 1) {
    co_await validate_by(*selected.front(), old, object, outcome);
  } else if (!selected.empty()) {
    Scope scope(*Loop::current());
    for (const auto* call : selected) scope.spawn("validating webhook", validate_by(*call, old, object, outcome));
    co_await scope.close();
  }
  co_return outcome;
}

AdmissionWebhooks::AdmissionWebhooks(const ObjectReader& reader, const Conversion& conversion, const KindTable& kinds)
    : reader_(reader),
      conversion_(conversion),
      kinds_(kinds),
      mutating_kind_(api::find_kind(kGroup, "v1", "mutatingwebhookconfigurations")),
      validating_kind_(api::find_kind(kGroup, "v1", "validatingwebhookconfigurations")) {}

WebhookRun::Hooks AdmissionWebhooks::hooks_of(const api::Kind& kind, Cell& cell) const {
  auto known = cell.load();
  const auto revision = reader_.revision_of(kind);
  if (known && known->revision == revision) return known->hooks;
  auto fresh = std::make_shared<Read>();
  fresh->revision = revision;
  std::vector<Hook> hooks;
  for (const auto& configuration : reader_.list(kind))  // by name
    for (auto& hook : webhooks::read_hooks(*configuration)) hooks.push_back(std::move(hook));
  if (!hooks.empty()) fresh->hooks = std::make_shared<const std::vector<Hook>>(std::move(hooks));
  cell.store(fresh);
  return fresh->hooks;
}

bool AdmissionWebhooks::configured() const {
  return hooks_of(*mutating_kind_, mutating_) || hooks_of(*validating_kind_, validating_);
}

std::unique_ptr<WebhookRun> AdmissionWebhooks::begin(const Admission& admission) const {
  auto mutating = hooks_of(*mutating_kind_, mutating_), validating = hooks_of(*validating_kind_, validating_);
  if ((!mutating && !validating) || admission.resource->group == kGroup) return nullptr;
  std::unique_ptr<WebhookRun> run(new WebhookRun(reader_, conversion_));
  auto& request = run->request_;
  request.operation = admission.operation;
  request.resource = resource_name(*admission.resource);
  request.kind = admission.object ? object_kind(*admission.resource) : admission.kind;
  request.subresource = admission.subresource;
  request.name = admission.name;
  const bool is_namespace = admission.resource->group.empty() && admission.resource->plural == "namespaces";
  request.ns = is_namespace ? admission.name : admission.ns;
  request.user = admission.user;
  request.dry_run = admission.dry_run;
  run->object_kind_ = admission.object;
  run->warnings_ = admission.warnings;
  run->choose(mutating, admission, kinds_, run->mutating_);
  run->choose(validating, admission, kinds_, run->validating_);
  if (!run->mutates() && !run->validates()) return nullptr;
  request.options = admission.options;
  run->mutating_hooks_ = std::move(mutating);
  run->validating_hooks_ = std::move(validating);
  return run;
}

}  // namespace lab::apiserver
