// ValidatingAdmissionPolicy (KEP-3488): expressions that a write must fulfil, for the resources that a policy and one
// of its bindings name. Expressions are those of webhooks/condition.h; what that does not understand is a failure,
// which the policy's failurePolicy decides. Params may be of built-in kinds.
#include <algorithm>
#include <map>

#include "orchestrator/api/selector.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/webhooks/condition.h"
#include "orchestrator/apiserver/webhooks/review.h"
#include "orchestrator/apiserver/webhooks/rules.h"

namespace lab::apiserver::admission {
namespace {

using json::Value;
using webhooks::Condition;

constexpr std::string_view kServerItself = "system:apiserver";
const std::vector<std::string> kNames{"params", "namespaceObject", "variables"};

// Compiled once for each thread.
const Condition& compiled(std::string_view expression) {
  static thread_local std::map<std::string, Condition, std::less<>> known;
  if (known.size() > 2000) known.clear();
  auto it = known.find(expression);
  if (it == known.end()) it = known.emplace(expression, Condition::compile_value(expression, kNames)).first;
  return it->second;
}

// One write, as policies look at it.
struct Write {
  WriteContext& ctx;
  const Value* old;
  const Value* object;
  std::string_view operation;
  webhooks::ResourceName resource;
  ObjectPtr ns;  // null for cluster-scoped objects
  Value facts;   // the variable `request`
};

bool selects(const Value& selector, const json::Object& labels) {
  if (json::as_object(selector).empty()) return true;
  auto parsed = api::LabelSelector::from_object(selector);
  return parsed && parsed->matches(labels);
}

bool any_rule(const Write& write, const json::Array& rules) {
  return std::ranges::any_of(rules, [&](const Value& text) {
    const auto& names = json::list(text, "resourceNames");
    if (!names.empty() && std::ranges::find(names, Value(write.ctx.name)) == names.end()) return false;
    return webhooks::matches(webhooks::read_rule(text),
                             {write.operation, write.resource, write.ctx.subresource, write.ctx.ns});
  });
}

// MatchResources; one of a binding may leave the rules out.
bool concerns(const Write& write, const Value& match) {
  if (match.is_null()) return true;
  if (any_rule(write, json::list(match, "excludeResourceRules"))) return false;
  const auto& rules = json::list(match, "resourceRules");
  if (!rules.empty() && !any_rule(write, rules)) return false;
  const bool itself = is(write.ctx, "", "namespaces");
  const Value* labelled = itself ? (write.object ? write.object : write.old) : write.ns.get();
  if (labelled && !selects(json::at(match, "namespaceSelector"), json::map(*labelled, "metadata", "labels")))
    return false;
  const auto& objects = json::at(match, "objectSelector");
  auto chosen = [&](const Value* o) { return o && selects(objects, json::map(*o, "metadata", "labels")); };
  return chosen(write.object) || chosen(write.old);
}

Code code_of(std::string_view reason) {
  if (reason == "Unauthorized") return Code::kUnauthorized;
  if (reason == "Forbidden") return Code::kForbidden;
  return Code::kInvalid;
}

// A policy under one binding, for one object of parameters.
class Check {
 public:
  Check(const Write& write, const Value& policy, const Value& params) : write_(write), policy_(policy) {
    static const Value null;
    names_ = {{"object", write.object ? write.object : &null},
              {"oldObject", write.old ? write.old : &null},
              {"request", &write.facts},
              {"params", &params},
              {"namespaceObject", write.ns ? write.ns.get() : &null},
              {"variables", &variables_}};
    variables_.emplace_object();
  }

  struct Refusal {
    std::string message;
    Code code = Code::kInvalid;
  };
  std::vector<Refusal> run() {
    std::vector<Refusal> out;
    const bool ignore = json::str(policy_, "spec", "failurePolicy") == "Ignore";
    auto trouble = [&](const Value& entry, const Error& error) {
      if (!ignore)
        out.push_back(
            {"expression '" + std::string(json::str(entry, "expression")) + "' resulted in error: " + error.message});
    };
    for (const auto& condition : json::list(policy_, "spec", "matchConditions")) {
      auto holds = evaluate(condition, "expression");
      if (!holds) {
        trouble(condition, holds.error());
        return out;
      }
      if (!json::as_bool(*holds)) return {};
    }
    for (const auto& variable : json::list(policy_, "spec", "variables"))
      if (auto value = evaluate(variable, "expression"))  // one that fails is missed where it is used
        json::set(variables_, std::move(*value), json::str(variable, "name"));
    for (const auto& validation : json::list(policy_, "spec", "validations")) {
      auto holds = evaluate(validation, "expression");
      if (!holds)
        trouble(validation, holds.error());
      else if (!json::as_bool(*holds))
        out.push_back({message_of(validation), code_of(json::str(validation, "reason"))});
    }
    return out;
  }

 private:
  Result<Value> evaluate(const Value& entry, std::string_view field) const {
    return compiled(json::str(entry, field)).value(names_);
  }

  std::string message_of(const Value& validation) const {
    if (!json::str(validation, "messageExpression").empty())
      if (auto text = evaluate(validation, "messageExpression"); text && !json::as_str(*text).empty())
        return std::string(json::as_str(*text));
    if (auto text = json::str(validation, "message"); !text.empty()) return std::string(text);
    return "failed expression: " + std::string(json::str(validation, "expression"));
  }

  const Write& write_;
  const Value& policy_;
  Value variables_;
  Condition::Variables names_;
};

// The objects that a binding names as parameters; a null one where the policy takes none.
Result<std::vector<ObjectPtr>> params_of(const Write& write, const Value& policy, const Value& binding) {
  const auto& wanted = json::at(policy, "spec", "paramKind");
  if (wanted.is_null()) return std::vector<ObjectPtr>{std::make_shared<const Value>()};
  auto kind = api::find_kind_by_name(json::str(wanted, "apiVersion"), json::str(wanted, "kind"));
  if (!kind)
    return fail(Code::kInvalid, "failed to configure policy: params of kind " + std::string(json::str(wanted, "kind")) +
                                    " are not understood by this server");
  const auto& ref = json::at(binding, "spec", "paramRef");
  std::string ns;
  if (kind->namespaced)
    ns = json::str(ref, "namespace").empty() ? write.ctx.ns : std::string(json::str(ref, "namespace"));
  std::vector<ObjectPtr> out;
  if (auto name = json::str(ref, "name"); !name.empty()) {
    if (auto found = write.ctx.reader.get(*kind, ns, name)) out.push_back(std::move(found));
  } else {
    for (auto& found : write.ctx.reader.list(*kind, ns))
      if (selects(json::at(ref, "selector"), json::map(*found, "metadata", "labels"))) out.push_back(std::move(found));
  }
  if (out.empty() && json::str(ref, "parameterNotFoundAction") != "Allow")
    return fail(Code::kInvalid,
                "failed to configure binding: no params found for policy binding with `Deny` "
                "parameterNotFoundAction");
  return out;
}

Result<void> enforce(const Write& write, const Value& policy, const Value& binding) {
  std::vector<Check::Refusal> refusals;
  auto params = params_of(write, policy, binding);
  if (!params) {
    if (json::str(policy, "spec", "failurePolicy") != "Ignore") refusals.push_back({params.error().message});
  } else {
    for (const auto& each : *params)
      for (auto& refusal : Check(write, policy, *each).run()) refusals.push_back(std::move(refusal));
  }
  const auto& actions = json::list(binding, "spec", "validationActions");
  auto acts = [&](const char* action) { return std::ranges::find(actions, Value(action)) != actions.end(); };
  const std::string who = "ValidatingAdmissionPolicy '" + std::string(json::str(policy, "metadata", "name")) +
                          "' with binding '" + std::string(json::str(binding, "metadata", "name")) + "'";
  for (const auto& refusal : refusals) {
    if (acts("Warn")) write.ctx.warnings.push_back("Validation failed for " + who + ": " + refusal.message);
    if (!acts("Deny")) continue;
    auto refused = refuse(write.ctx, who + " denied request: " + refusal.message);
    refused.error().code = refusal.code;
    return refused;
  }
  return {};
}

}  // namespace

std::string policy_expression_trouble(std::string_view expression) {
  return compiled(expression).trouble();
}

Result<void> validating_admission_policy(WriteContext& ctx, const Value* old, Value* object) {
  // The policies themselves are exempt, or a wrong one could not be removed; so is what the server needs to work.
  if (ctx.kind.group == "admissionregistration.k8s.io" || ctx.user.username == kServerItself) return {};
  static const api::KindPtr policies =
                                api::find_kind("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"),
                            bindings = api::find_kind("admissionregistration.k8s.io", "v1",
                                                      "validatingadmissionpolicybindings"),
                            namespaces = api::find_kind("", "v1", "namespaces");
  auto all = ctx.reader.list(*bindings);
  if (all.empty()) return {};
  Write write{.ctx = ctx,
              .old = old,
              .object = object,
              .operation = !object ? "DELETE"
                           : old   ? "UPDATE"
                                   : "CREATE",
              .resource = {ctx.kind.group, ctx.kind.version, ctx.kind.plural},
              .ns = ctx.kind.namespaced ? ctx.reader.get(*namespaces, "", ctx.ns) : nullptr,
              .facts = {}};
  webhooks::AdmissionRequest request;
  request.operation = write.operation;
  request.resource = write.resource;
  request.kind = {ctx.kind.group, ctx.kind.version, ctx.kind.kind};
  request.subresource = ctx.subresource;
  request.ns = ctx.ns;
  request.name = ctx.name;
  request.user = &ctx.user;
  request.dry_run = ctx.dry_run;
  write.facts = webhooks::request_facts(request);
  for (const auto& binding : all) {
    auto policy = ctx.reader.get(*policies, "", json::str(*binding, "spec", "policyName"));
    if (!policy || !concerns(write, json::at(*policy, "spec", "matchConstraints")) ||
        !concerns(write, json::at(*binding, "spec", "matchResources")))
      continue;
    LAB_CHECK(enforce(write, *policy, *binding));
  }
  return {};
}

}  // namespace lab::apiserver::admission
