#include "orchestrator/apiserver/pod_calls.h"

#include "orchestrator/api/selector.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

json::Value created_status() {
  return json::Object{
      {"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", json::Object{}}, {"status", "Success"}, {"code", 201}};
}

WriteOptions options_of(const Call& call, std::string verb, std::string subresource) {
  WriteOptions out;
  out.user = call.user;
  out.verb = std::move(verb);
  out.subresource = std::move(subresource);
  out.dry_run = call.dry_run;
  out.field_validation = FieldValidation::kIgnore;
  out.webhooks = false;  // they have seen the Binding or Eviction
  return out;
}

// Sets the condition of that type, keeping lastTransitionTime where the status stays the same.
void set_condition(json::Value& pod, json::Object condition) {
  auto& list = json::ensure(pod, "status", "conditions");
  if (!list.is_array()) list.emplace_array();
  for (auto& entry : list.get_array())
    if (json::str(entry, "type") == json::as_str(condition["type"])) {
      if (json::str(entry, "status") == json::as_str(condition["status"]))
        condition["lastTransitionTime"] = json::at(entry, "lastTransitionTime");
      entry = std::move(condition);
      return;
    }
  list.get_array().push_back(std::move(condition));
}

Result<json::Value> bound(const json::Value& current, const json::Value& binding, WallTime now) {
  auto name = std::string(json::str(current, "metadata", "name"));
  auto refuse = [&](std::string why) {
    Error error;
    error.code = Code::kConflict;
    error.message = "Operation cannot be fulfilled on pods/binding \"" + name + "\": " + why;
    error.details = json::dump(json::Object{{"name", name}, {"kind", "pods/binding"}});
    return Failure(error);
  };
  if (auto uid = json::str(binding, "metadata", "uid"); !uid.empty() && uid != json::str(current, "metadata", "uid"))
    return refuse("Precondition failed: UID in precondition: " + std::string(uid) +
                  ", UID in object meta: " + std::string(json::str(current, "metadata", "uid")));
  if (json::has(current, "metadata", "deletionTimestamp"))
    return refuse("pod " + name + " is being deleted, cannot be assigned to a host");
  if (auto host = json::str(current, "spec", "nodeName"); !host.empty())
    return refuse("pod " + name + " is already assigned to node \"" + std::string(host) + "\"");
  if (!json::list(current, "spec", "schedulingGates").empty())
    return refuse("pod " + name + " has non-empty .spec.schedulingGates");
  json::Value pod = current;
  json::set(pod, json::str(binding, "target", "name"), "spec", "nodeName");
  for (const auto& [key, value] : json::map(binding, "metadata", "annotations"))
    json::set(pod, value, "metadata", "annotations", std::string_view(key));
  set_condition(pod, {{"type", "PodScheduled"},
                      {"status", "True"},
                      {"lastProbeTime", nullptr},
                      {"lastTransitionTime", api::format_time(now)}});
  return pod;
}

Task<Result<json::Value>> bind(Registry& registry, Call& call) {
  auto target_kind = json::str(call.body, "target", "kind");
  if (json::str(call.body, "target", "name").empty() || (!target_kind.empty() && target_kind != "Node"))
    co_return Failure(bad_request("Binding \"" + call.name + "\" is invalid: target: Required value: a Node's name"));
  auto name = call.name.empty() ? std::string(json::str(call.body, "metadata", "name")) : call.name;
  auto pods = api::find_kind("", "v1", "pods");
  Registry::Transform change = [&call](const json::Value& pod) { return bound(pod, call.body, call.now); };
  auto written =
      co_await registry.update(pods, call.ns, name, std::move(change), options_of(call, "create", "binding"));
  if (!written) co_return std::unexpected(std::move(written).error());
  co_return created_status();
}

// With a Retry-After header clients wait by themselves, unseen: only where waiting that long is likely to help. A drain
// that meets a spent budget must hear of it.
Error budget_refusal(std::string why, int retry_after_seconds) {
  Error error;
  error.code = Code::kTooManyRequests;
  error.message = "Cannot evict pod as it would violate the pod's disruption budget.";
  json::Object details{
      {"causes", json::Array{json::Object{{"reason", "DisruptionBudget"}, {"message", std::move(why)}}}}};
  if (retry_after_seconds > 0) details["retryAfterSeconds"] = retry_after_seconds;
  error.details = json::dump(json::Value(std::move(details)));
  return error;
}

bool is_ready(const json::Value& pod) {
  for (const auto& c : json::list(pod, "status", "conditions"))
    if (json::str(c, "type") == "Ready") return json::str(c, "status") == "True";
  return false;
}

// Takes one disruption from the budget, or says why there is none to take.
Result<void> take_disruption(json::Value& budget, const std::string& pod, WallTime now) {
  auto name = std::string(json::str(budget, "metadata", "name"));
  if (json::num(budget, "status", "observedGeneration") < json::num(budget, "metadata", "generation"))
    return Failure(budget_refusal("The disruption budget " + name + " is still being processed by the server.", 10));
  auto allowed = json::num(budget, "status", "disruptionsAllowed");
  if (allowed <= 0)
    return Failure(budget_refusal(
        "The disruption budget " + name + " needs " + std::to_string(json::num(budget, "status", "desiredHealthy")) +
            " healthy pods and has " + std::to_string(json::num(budget, "status", "currentHealthy")) + " currently",
        0));
  json::set(budget, allowed - 1, "status", "disruptionsAllowed");
  json::set(budget, api::format_time(now), "status", "disruptedPods", std::string_view(pod));
  return {};
}

// The budgets that cover a pod.
std::vector<ObjectPtr> budgets_of(const ObjectReader& reader, const json::Value& pod) {
  std::vector<ObjectPtr> out;
  auto kind = api::find_kind("policy", "v1", "poddisruptionbudgets");
  for (auto& budget : reader.list(*kind, json::str(pod, "metadata", "namespace"))) {
    auto selector = api::LabelSelector::from_object(json::at(*budget, "spec", "selector"));
    if (selector && selector->matches(json::map(pod, "metadata", "labels"))) out.push_back(std::move(budget));
  }
  return out;
}

bool needs_no_budget(const json::Value& pod) {
  auto phase = json::str(pod, "status", "phase");
  return phase == "Succeeded" || phase == "Failed" || phase == "Pending" ||
         json::has(pod, "metadata", "deletionTimestamp");
}

Task<Result<void>> spend_budget(Registry& registry, Call& call, ObjectPtr pod) {
  auto budgets = budgets_of(registry.cache(), *pod);
  if (budgets.empty()) co_return Result<void>();
  if (budgets.size() > 1)
    co_return fail(Code::kInternal,
                   "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
  const auto& budget = *budgets.front();
  bool healthy = json::num(budget, "status", "currentHealthy") >= json::num(budget, "status", "desiredHealthy") &&
                 json::num(budget, "status", "desiredHealthy") > 0;
  if (!is_ready(*pod) && (json::str(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow" || healthy))
    co_return Result<void>();
  auto kind = api::find_kind("policy", "v1", "poddisruptionbudgets");
  Registry::Transform change = [&call](const json::Value& current) -> Result<json::Value> {
    json::Value changed = current;
    LAB_CHECK(take_disruption(changed, call.name, call.now));
    return changed;
  };
  auto options = options_of(call, "patch", "status");
  auto written = co_await registry.update(kind, call.ns, std::string(json::str(budget, "metadata", "name")),
                                          std::move(change), std::move(options));
  if (!written) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

Task<Result<json::Value>> evict(Registry& registry, Call& call) {
  auto pods = api::find_kind("", "v1", "pods");
  auto body_name = json::str(call.body, "metadata", "name");
  if (!body_name.empty() && body_name != call.name)
    co_return Failure(bad_request("name in URL does not match name in Eviction object"));
  auto pod = registry.cache().get(*pods, call.ns, call.name);
  if (!pod) co_return Failure(not_found(*pods, call.name));
  DeleteRequest request;
  const auto& wanted = json::at(call.body, "deleteOptions");
  if (const auto& grace = json::at(wanted, "gracePeriodSeconds"); !grace.is_null())
    request.grace_seconds = json::as_int(grace);
  request.uid = json::str(wanted, "preconditions", "uid");
  request.resource_version = json::str(wanted, "preconditions", "resourceVersion");
  request.propagation = json::str(wanted, "propagationPolicy");
  if (!json::list(wanted, "dryRun").empty()) call.dry_run = true;
  if (!request.resource_version.empty() && request.resource_version != json::str(*pod, "metadata", "resourceVersion"))
    co_return Failure(modified(*pods, call.name));
  request.resource_version.clear();  // checked; the marks below change it
  if (!needs_no_budget(*pod)) {
    LAB_CO_CHECK(co_await spend_budget(registry, call, pod));
    Registry::Transform mark = [&call](const json::Value& current) -> Result<json::Value> {
      json::Value changed = current;
      set_condition(changed, {{"type", "DisruptionTarget"},
                              {"status", "True"},
                              {"reason", "EvictionByEvictionAPI"},
                              {"message", "Eviction API: evicting"},
                              {"lastProbeTime", nullptr},
                              {"lastTransitionTime", api::format_time(call.now)}});
      return changed;
    };
    auto marked =
        co_await registry.update(pods, call.ns, call.name, std::move(mark), options_of(call, "patch", "status"));
    if (!marked) co_return std::unexpected(std::move(marked).error());
  }
  auto written = co_await registry.remove(pods, call.ns, call.name, std::move(request), options_of(call, "delete", ""));
  if (!written) co_return std::unexpected(std::move(written).error());
  co_return created_status();
}

}  // namespace

void add_pod_calls(CallTable& calls, Registry& registry) {
  calls.add("", "pods", "binding", [&registry](Call& call) { return bind(registry, call); });
  calls.add("", "bindings", "", [&registry](Call& call) { return bind(registry, call); });
  calls.add("", "pods", "eviction", [&registry](Call& call) { return evict(registry, call); });
}

}  // namespace lab::apiserver
