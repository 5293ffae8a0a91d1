// Conversion between the versions of a built-in kind that share one storage.
#include "orchestrator/api/kind.h"

namespace lab::api {
namespace {

using json::Array;
using json::Object;
using json::Value;

void rename(Value& object, std::string_view from, std::string_view to) {
  auto* o = object.if_object();
  auto* field = o ? o->if_contains(from) : nullptr;
  if (!field) return;
  Value moved = std::move(*field);
  o->stable_erase(o->find(from));
  o->insert_or_assign(to, std::move(moved));
}

struct Renamed {
  const char* core;
  const char* events;
};
constexpr Renamed kEventFields[] = {
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
    {"reportingComponent", "reportingController"},
};

constexpr std::string_view kMetrics = "autoscaling.alpha.kubernetes.io/metrics",
                           kBehavior = "autoscaling.alpha.kubernetes.io/behavior",
                           kCurrent = "autoscaling.alpha.kubernetes.io/current-metrics",
                           kConditions = "autoscaling.alpha.kubernetes.io/conditions";

// The CPU target as autoscaling/v1 has it: utilisation in percent.
bool is_cpu_target(const Value& metric) {
  return json::str(metric, "type") == "Resource" && json::str(metric, "resource", "name") == "cpu";
}

void put_annotation(Value& h, std::string_view key, const Value& value) {
  if (value.is_null() || (value.is_array() && value.get_array().empty())) return;
  json::set(h, json::dump(value), "metadata", "annotations", key);
}

Value take_annotation(Value& h, std::string_view key) {
  auto parsed = json::parse(json::str(h, "metadata", "annotations", key));
  json::erase(h, "metadata", "annotations", key);
  if (json::has(h, "metadata", "annotations") && json::map(h, "metadata", "annotations").empty())
    json::erase(h, "metadata", "annotations");
  return parsed ? *parsed : Value();
}

void autoscaler_to_v1(Value& h) {
  Array others;
  for (const auto& m : json::list(h, "spec", "metrics")) {
    const Value& target = json::at(m, "resource", "target", "averageUtilization");
    if (is_cpu_target(m) && !target.is_null() && !json::has(h, "spec", "targetCPUUtilizationPercentage"))
      json::set(h, Value(target), "spec", "targetCPUUtilizationPercentage");
    else
      others.push_back(m);
  }
  Array other_status;
  for (const auto& m : json::list(h, "status", "currentMetrics")) {
    const Value& now = json::at(m, "resource", "current", "averageUtilization");
    if (is_cpu_target(m) && !now.is_null())
      json::set(h, Value(now), "status", "currentCPUUtilizationPercentage");
    else
      other_status.push_back(m);
  }
  put_annotation(h, kMetrics, others);
  put_annotation(h, kBehavior, json::at(h, "spec", "behavior"));
  put_annotation(h, kCurrent, other_status);
  put_annotation(h, kConditions, json::at(h, "status", "conditions"));
  for (const char* field : {"metrics", "behavior"}) json::erase(h, "spec", field);
  for (const char* field : {"currentMetrics", "conditions"}) json::erase(h, "status", field);
}

Value cpu_metric(const Value& percent, const char* where) {
  Value m = Object{{"type", "Resource"}, {"resource", Object{{"name", "cpu"}}}};
  json::set(m, Value(percent), "resource", where, "averageUtilization");
  if (std::string_view(where) == "target") json::set(m, "Utilization", "resource", where, "type");
  return m;
}

void autoscaler_to_v2(Value& h) {
  Value metrics = take_annotation(h, kMetrics), behavior = take_annotation(h, kBehavior);
  Value current = take_annotation(h, kCurrent), conditions = take_annotation(h, kConditions);
  if (const Value& percent = json::at(h, "spec", "targetCPUUtilizationPercentage"); !percent.is_null()) {
    if (!metrics.is_array()) metrics = Array();
    metrics.get_array().push_back(cpu_metric(percent, "target"));
    json::erase(h, "spec", "targetCPUUtilizationPercentage");
  }
  if (const Value& percent = json::at(h, "status", "currentCPUUtilizationPercentage"); !percent.is_null()) {
    if (!current.is_array()) current = Array();
    current.get_array().push_back(cpu_metric(percent, "current"));
    json::erase(h, "status", "currentCPUUtilizationPercentage");
  }
  if (!metrics.is_null()) json::set(h, std::move(metrics), "spec", "metrics");
  if (!behavior.is_null()) json::set(h, std::move(behavior), "spec", "behavior");
  if (!current.is_null()) json::set(h, std::move(current), "status", "currentMetrics");
  if (!conditions.is_null()) json::set(h, std::move(conditions), "status", "conditions");
}

}  // namespace

void convert(Value& object, std::string_view to) {
  std::string_view from = json::str(object, "apiVersion"), kind = json::str(object, "kind");
  if (!object.is_object() || from == to) return;
  if (kind == "Event" && to == "events.k8s.io/v1")
    for (const auto& f : kEventFields) rename(object, f.core, f.events);
  else if (kind == "Event" && from == "events.k8s.io/v1")
    for (const auto& f : kEventFields) rename(object, f.events, f.core);
  else if (kind == "HorizontalPodAutoscaler" && to == "autoscaling/v1")
    autoscaler_to_v1(object);
  else if (kind == "HorizontalPodAutoscaler" && from == "autoscaling/v1")
    autoscaler_to_v2(object);
  object.get_object().insert_or_assign("apiVersion", to);
}

}  // namespace lab::api
