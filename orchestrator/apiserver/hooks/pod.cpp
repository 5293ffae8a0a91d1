#include "orchestrator/apiserver/hooks/pod.h"

#include "orchestrator/api/quantity.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/admission/edit.h"
#include "orchestrator/apiserver/hooks/qos.h"

namespace lab::apiserver::hooks {
namespace {

using json::Value;

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
    if (auto* conditions = find_list(pod, "status", "conditions"))
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

// The class decides where the pod's cgroup is: no resize may change it.
std::vector<api::Finding> validate_resize(const WriteContext& ctx, const Value* old, const Value& pod) {
  if (ctx.subresource != "resize" || !old || qos_class(*old) == qos_class(pod)) return {};
  return {
      {"spec", "FieldValueInvalid",
       "Invalid value: \"" + std::string(qos_class(pod)) + "\": Pod QOS Class may not change as a result of resizing"}};
}

Hooks pod_hooks() {
  Hooks h;
  h.validate = validate_resize;
  h.prepare_create = prepare_create;
  h.prepare_update = prepare_update;
  return h;
}

}  // namespace lab::apiserver::hooks
