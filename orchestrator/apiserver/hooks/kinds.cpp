#include "orchestrator/apiserver/hooks/kinds.h"

#include <algorithm>

#include "base/crypto/encoding.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/admission/edit.h"
#include "orchestrator/apiserver/webhooks/condition.h"
#include "pki/csr.h"

namespace lab::apiserver::hooks {
namespace {

using json::Array;
using json::Object;
using json::Value;
using Findings = std::vector<api::Finding>;

api::Finding forbidden_field(std::string field, const std::string& why) {
  return {std::move(field), "FieldValueForbidden", "Forbidden: " + why};
}
api::Finding invalid_field(std::string field, const Value& value, const std::string& why) {
  return {std::move(field), "FieldValueInvalid", "Invalid value: " + json::dump(value) + ": " + why};
}

}  // namespace

Hooks namespace_hooks() {
  Hooks h;
  h.prepare_create = [](WriteContext&, Value& ns) -> Result<void> {
    Array& finalizers = make_list(ns, "spec", "finalizers");
    if (std::ranges::find(finalizers, Value("kubernetes")) == finalizers.end()) finalizers.emplace_back("kubernetes");
    json::set(ns, Object{{"phase", "Active"}}, "status");
    return {};
  };
  h.prepare_update = [](WriteContext& ctx, const Value&, Value& ns) -> Result<void> {
    json::set(ns, ctx.name, "metadata", "labels", "kubernetes.io/metadata.name");
    return {};
  };
  return h;
}

Hooks job_hooks() {
  Hooks h;
  h.prepare_create = [](WriteContext&, Value& job) -> Result<void> {
    if (json::flag(job, "spec", "manualSelector")) return {};
    // The selector is the Job's uid: no Job adopts another one's Pods by accident.
    std::string uid(json::str(job, "metadata", "uid")), name(json::str(job, "metadata", "name"));
    for (const char* key : {"controller-uid", "batch.kubernetes.io/controller-uid"})
      json::set(job, uid, "spec", "template", "metadata", "labels", key);
    for (const char* key : {"job-name", "batch.kubernetes.io/job-name"})
      json::set(job, name, "spec", "template", "metadata", "labels", key);
    json::set(job, uid, "spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid");
    return {};
  };
  return h;
}

Hooks claim_hooks() {
  Hooks h;
  h.prepare_create = [](WriteContext&, Value& claim) -> Result<void> {
    json::set(claim, Object{{"phase", "Pending"}}, "status");
    return {};
  };
  return h;
}

Hooks volume_hooks() {
  return claim_hooks();
}

Hooks priority_class_hooks() {
  Hooks h;
  h.validate = [](const WriteContext& ctx, const Value* old, const Value& c) -> Findings {
    Findings out;
    if (json::flag(c, "globalDefault") && !(old && json::flag(*old, "globalDefault")))
      for (const auto& other : ctx.reader.list(ctx.kind))
        if (json::flag(*other, "globalDefault") && json::str(*other, "metadata", "name") != ctx.name)
          out.push_back(
              forbidden_field("globalDefault", "PriorityClass " + std::string(json::str(*other, "metadata", "name")) +
                                                   " is already marked as default. Only one default can exist"));
    return out;
  };
  return h;
}

namespace {

// Times that an approver or signer left out.
void stamp_conditions(const WriteContext& ctx, const Value& old, Value& csr) {
  auto* conditions = find_list(csr, "status", "conditions");
  if (!conditions) return;
  std::string now = api::format_time(ctx.now);
  for (auto& c : *conditions) {
    if (!json::has(c, "lastUpdateTime")) json::set(c, now, "lastUpdateTime");
    if (json::has(c, "lastTransitionTime")) continue;
    std::string since = now;
    for (const auto& o : json::list(old, "status", "conditions"))
      if (json::str(o, "type") == json::str(c, "type") && json::str(o, "status") == json::str(c, "status") &&
          json::has(o, "lastTransitionTime"))
        since = json::str(o, "lastTransitionTime");
    json::set(c, since, "lastTransitionTime");
  }
}

Result<void> prepare_request(WriteContext& ctx, Value& csr) {
  // Who asks is what the signer decides by: never what the body says.
  for (const char* field : {"username", "uid", "groups", "extra"}) json::erase(csr, "spec", field);
  json::set(csr, ctx.user.username, "spec", "username");
  if (!ctx.user.uid.empty()) json::set(csr, ctx.user.uid, "spec", "uid");
  Array groups;
  for (const auto& g : ctx.user.groups) groups.emplace_back(g);
  if (!groups.empty()) json::set(csr, std::move(groups), "spec", "groups");
  for (const auto& [key, values] : ctx.user.extra) {
    Array list;
    for (const auto& v : values) list.emplace_back(v);
    json::set(csr, std::move(list), "spec", "extra", std::string_view(key));
  }
  json::set(csr, Object(), "status");
  return {};
}

Result<void> prepare_request_update(WriteContext& ctx, const Value& old, Value& csr) {
  // Only its own subresources change a request.
  json::set(csr, json::at(old, "spec"), "spec");
  if (ctx.subresource == "status") {
    // Approval is not the signer's to give or take.
    Array kept;
    for (const auto& c : json::list(csr, "status", "conditions"))
      if (json::str(c, "type") != "Approved" && json::str(c, "type") != "Denied") kept.push_back(c);
    for (const auto& c : json::list(old, "status", "conditions"))
      if (json::str(c, "type") == "Approved" || json::str(c, "type") == "Denied") kept.push_back(c);
    json::set(csr, std::move(kept), "status", "conditions");
  }
  if (!ctx.subresource.empty()) stamp_conditions(ctx, old, csr);
  return {};
}

Findings check_request(const WriteContext&, const Value* old, const Value& csr) {
  Findings out;
  if (!old) {
    auto pem = crypto::base64_decode(json::str(csr, "spec", "request"));
    auto info = pem ? pki::inspect_csr(*pem) : Result<pki::CsrInfo>(std::unexpected(pem.error()));
    if (!info)
      out.push_back({"spec.request", "FieldValueInvalid",
                     "Invalid value: not a PEM certificate signing request: " + info.error().message});
    return out;
  }
  auto has = [](const Value& o, std::string_view type) {
    return std::ranges::any_of(json::list(o, "status", "conditions"),
                               [&](const Value& c) { return json::str(c, "type") == type; });
  };
  if (has(csr, "Approved") && has(csr, "Denied"))
    out.push_back(
        invalid_field("status.conditions", Value("Denied"), "Approved and Denied conditions are mutually exclusive"));
  for (const char* type : {"Approved", "Denied", "Failed"})
    if (has(*old, type) && !has(csr, type))
      out.push_back(forbidden_field("status.conditions",
                                    "updates may not remove a condition of type \"" + std::string(type) + "\""));
  return out;
}

}  // namespace

Hooks certificate_request_hooks() {
  Hooks h;
  h.prepare_create = prepare_request;
  h.prepare_update = prepare_request_update;
  h.validate = check_request;
  return h;
}

Hooks cel_policy_hooks() {
  Hooks h;
  h.prepare_create = [](WriteContext& ctx, Value& policy) -> Result<void> {
    if (ctx.kind.plural != "validatingadmissionpolicies") {
      ctx.warnings.push_back(ctx.kind.kind + " is stored but not enforced: this server changes no objects by CEL");
      return {};
    }
    for (const char* list : {"matchConditions", "variables", "validations"})
      for (const auto& entry : json::list(policy, "spec", list))
        if (auto trouble = admission::policy_expression_trouble(json::str(entry, "expression")); !trouble.empty())
          ctx.warnings.push_back("expression \"" + std::string(json::str(entry, "expression")) +
                                 "\" cannot be evaluated here, failurePolicy decides: " + trouble);
    return {};
  };
  return h;
}

Hooks webhook_configuration_hooks() {
  Hooks h;
  h.validate = [](const WriteContext&, const Value*, const Value& configuration) -> Findings {
    Findings out;
    const auto& hooks = json::list(configuration, "webhooks");
    for (std::size_t i = 0; i < hooks.size(); ++i) {
      const auto& conditions = json::list(hooks[i], "matchConditions");
      for (std::size_t j = 0; j < conditions.size(); ++j) {
        const auto& expression = json::at(conditions[j], "expression");
        if (json::as_str(expression).empty()) continue;  // required, which is said already
        const auto compiled = webhooks::Condition::compile(json::as_str(expression));
        if (!compiled.trouble().empty())
          out.push_back(
              invalid_field("webhooks[" + std::to_string(i) + "].matchConditions[" + std::to_string(j) + "].expression",
                            expression, compiled.trouble()));
      }
    }
    return out;
  };
  return h;
}

Hooks rbac_hooks(const authz::ChainAuthorizer& authorizer) {
  Hooks h;
  h.prepare_create = [&authorizer](WriteContext& ctx, Value& object) {
    return authorizer.check_escalation(ctx.user, ctx.kind, nullptr, object);
  };
  h.prepare_update = [&authorizer](WriteContext& ctx, const Value& old, Value& object) {
    return authorizer.check_escalation(ctx.user, ctx.kind, &old, object);
  };
  return h;
}

}  // namespace lab::apiserver::hooks
