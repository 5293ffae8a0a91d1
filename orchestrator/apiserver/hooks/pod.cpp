#include "orchestrator/apiserver/hooks/pod.h"

#include <algorithm>
#include <map>

#include "orchestrator/api/quantity.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/hooks/qos.h"

namespace lab::apiserver::hooks {
namespace {

using json::Value;

// The spec without what a client may change of a running Pod.
Value fixed_part(const Value& pod) {
  Value spec = json::at(pod, "spec");
  for (const char* list : {"containers", "initContainers"})
    if (auto* containers = spec.is_object() ? spec.get_object().if_contains(list) : nullptr;
        containers && containers->is_array())
      for (auto& c : containers->get_array()) json::erase(c, "image");
  for (const char* field : {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"})
    json::erase(spec, field);
  return spec;
}

bool has_item(const json::Array& list, const Value& item) {
  return std::ranges::find(list, item) != list.end();
}

// Tolerations may be added, never changed or taken away.
bool keeps_tolerations(const Value& old, const Value& pod) {
  const auto& now = json::list(pod, "spec", "tolerations");
  return std::ranges::all_of(json::list(old, "spec", "tolerations"), [&](const Value& t) {
    return has_item(now, t) || std::ranges::any_of(now, [&](const Value& n) {
             Value a = n, b = t;
             json::erase(a, "tolerationSeconds");
             json::erase(b, "tolerationSeconds");
             return a == b;
           });
  });
}

bool gates_only_removed(const Value& old, const Value& pod) {
  const auto& before = json::list(old, "spec", "schedulingGates");
  return std::ranges::all_of(json::list(pod, "spec", "schedulingGates"),
                             [&](const Value& g) { return has_item(before, g); });
}

std::vector<api::Finding> check_update(const WriteContext& ctx, const Value* old, const Value& pod) {
  std::vector<api::Finding> out;
  if (!old || !ctx.subresource.empty()) return out;
  auto forbid = [&](std::string field, std::string why) {
    out.push_back({std::move(field), "FieldValueForbidden", "Forbidden: " + std::move(why)});
  };
  if (fixed_part(*old) != fixed_part(pod))
    forbid("spec",
           "pod updates may not change fields other than `spec.containers[*].image`,"
           "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
           "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
           "previously negative)");
  if (json::at(*old, "spec", "terminationGracePeriodSeconds") !=
          json::at(pod, "spec", "terminationGracePeriodSeconds") &&
      !(json::num(*old, "spec", "terminationGracePeriodSeconds") < 0 &&
        json::num(pod, "spec", "terminationGracePeriodSeconds") == 1))
    forbid("spec",
           "pod updates may not change fields other than `spec.containers[*].image`,"
           "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
           "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
           "previously negative)");
  if (!keeps_tolerations(*old, pod))
    forbid("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
  if (!gates_only_removed(*old, pod))
    forbid("spec.schedulingGates", "only deletion is allowed, but found new scheduling gate");
  const Value &was = json::at(*old, "spec", "activeDeadlineSeconds"),
              &now = json::at(pod, "spec", "activeDeadlineSeconds");
  if (!was.is_null() && (now.is_null() || json::as_int(now) > json::as_int(was)))
    out.push_back({"spec.activeDeadlineSeconds", "FieldValueInvalid",
                   "Invalid value: " + json::dump(now) + ": must be less than or equal to previous value"});
  return out;
}

Result<void> prepare_create(WriteContext& ctx, Value& pod) {
  Value status = json::Object{{"phase", "Pending"}, {"qosClass", qos_class(pod)}};
  if (!json::list(pod, "spec", "schedulingGates").empty()) {
    json::Array conditions;
    conditions.push_back(json::Object{{"type", "PodScheduled"},
                                      {"status", "False"},
                                      {"lastProbeTime", nullptr},
                                      {"lastTransitionTime", api::format_time(ctx.now)},
                                      {"reason", "SchedulingGated"},
                                      {"message", "Scheduling is blocked due to non-empty scheduling gates"}});
    json::set(status, std::move(conditions), "conditions");
  }
  json::set(pod, std::move(status), "status");
  return {};
}

Result<void> prepare_update(WriteContext& ctx, const Value& old, Value& pod) {
  if (ctx.subresource == "status") {
    // The class is a function of the spec; agents report the rest.
    json::set(
        pod,
        json::at(old, "status", "qosClass").is_null() ? Value(qos_class(pod)) : json::at(old, "status", "qosClass"),
        "status", "qosClass");
    return {};
  }
  if (ctx.subresource.empty() && !json::list(old, "spec", "schedulingGates").empty() &&
      json::list(pod, "spec", "schedulingGates").empty()) {
    // Free to be scheduled: the condition that said otherwise goes.
    if (auto* conditions = json::ensure(pod, "status", "conditions").if_array())
      for (std::size_t i = conditions->size(); i-- > 0;)
        if (json::str((*conditions)[i], "type") == "PodScheduled" &&
            json::str((*conditions)[i], "reason") == "SchedulingGated")
          conditions->erase(conditions->begin() + static_cast<std::ptrdiff_t>(i));
  }
  return {};
}

bool any_compute(const Value& container) {
  for (const char* what : {"requests", "limits"})
    for (const char* resource : {"cpu", "memory"}) {
      auto q = api::Quantity::parse(json::str(container, "resources", what, resource));
      if (q && !q->is_zero()) return true;
    }
  return false;
}

bool guaranteed(const Value& container) {
  for (const char* resource : {"cpu", "memory"}) {
    auto limit = api::Quantity::parse(json::str(container, "resources", "limits", resource));
    if (!limit || limit->is_zero()) return false;
    auto request = api::Quantity::parse(json::str(container, "resources", "requests", resource));
    if (request && *request != *limit) return false;
  }
  return true;
}

}  // namespace

std::string_view qos_class(const Value& pod) {
  bool any = false, all = true;
  for (const char* list : {"containers", "initContainers"})
    for (const auto& c : json::list(pod, "spec", list)) {
      any = any || any_compute(c);
      all = all && guaranteed(c);
    }
  if (!any) return "BestEffort";
  return all ? "Guaranteed" : "Burstable";
}

Hooks pod_hooks() {
  Hooks h;
  h.prepare_create = prepare_create;
  h.prepare_update = prepare_update;
  h.validate = check_update;
  return h;
}

}  // namespace lab::apiserver::hooks
