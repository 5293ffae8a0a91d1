// Versions of a kind that differ in more than their name: events.k8s.io/v1 and autoscaling/v1.
#include <array>

#include "orchestrator/apiserver/kind_table.h"

namespace lab::apiserver {
namespace {

struct Rename {
  std::string_view left, right;
};

// core/v1 Event on the left, events.k8s.io/v1 Event on the right.
constexpr std::array<Rename, 7> kEventFields{{{"involvedObject", "regarding"},
                                              {"message", "note"},
                                              {"source", "deprecatedSource"},
                                              {"firstTimestamp", "deprecatedFirstTimestamp"},
                                              {"lastTimestamp", "deprecatedLastTimestamp"},
                                              {"count", "deprecatedCount"},
                                              {"reportingComponent", "reportingController"}}};

void rename(json::Value& object, std::string_view from, std::string_view to) {
  auto* fields = object.if_object();
  auto* found = fields ? fields->if_contains(from) : nullptr;
  if (!found) return;
  auto value = std::move(*found);
  fields->erase(from);
  fields->insert_or_assign(to, std::move(value));
}

json::Value resource_metric(const json::Value& percent) {
  return json::Object{
      {"type", "Resource"},
      {"resource", json::Object{{"name", "cpu"},
                                {"target", json::Object{{"type", "Utilization"}, {"averageUtilization", percent}}}}}};
}

bool is_cpu_utilization(const json::Value& metric, std::string_view target) {
  return json::str(metric, "type") == "Resource" && json::str(metric, "resource", "name") == "cpu" &&
         json::has(metric, "resource", target, "averageUtilization");
}

constexpr std::string_view kMetrics = "autoscaling.alpha.kubernetes.io/metrics";

// autoscaling/v1 knows one CPU target; other metrics travel in an annotation, as Kubernetes does it.
void autoscaler_to_v2(json::Value& object) {
  json::Array metrics;
  if (auto kept = json::str(object, "metadata", "annotations", kMetrics); !kept.empty()) {
    if (auto parsed = json::parse(kept); parsed && parsed->is_array()) metrics = parsed->get_array();
    json::erase(object, "metadata", "annotations", kMetrics);
  }
  if (auto percent = json::at(object, "spec", "targetCPUUtilizationPercentage"); !percent.is_null()) {
    metrics.insert(metrics.begin(), resource_metric(percent));
    json::erase(object, "spec", "targetCPUUtilizationPercentage");
  }
  if (!metrics.empty()) json::set(object, std::move(metrics), "spec", "metrics");
  if (auto percent = json::at(object, "status", "currentCPUUtilizationPercentage"); !percent.is_null()) {
    json::erase(object, "status", "currentCPUUtilizationPercentage");
    json::set(
        object,
        json::Array{json::Object{
            {"type", "Resource"},
            {"resource", json::Object{{"name", "cpu"}, {"current", json::Object{{"averageUtilization", percent}}}}}}},
        "status", "currentMetrics");
  }
}

void autoscaler_to_v1(json::Value& object) {
  json::Array others;
  bool taken = false;
  for (const auto& metric : json::list(object, "spec", "metrics")) {
    if (!taken && is_cpu_utilization(metric, "target")) {
      taken = true;
      auto percent = json::at(metric, "resource", "target", "averageUtilization");
      json::set(object, percent, "spec", "targetCPUUtilizationPercentage");
      continue;
    }
    others.push_back(metric);
  }
  json::erase(object, "spec", "metrics");
  if (!others.empty())
    json::set(object, json::dump(json::Value(std::move(others))), "metadata", "annotations", kMetrics);
  for (const auto& metric : json::list(object, "status", "currentMetrics"))
    if (is_cpu_utilization(metric, "current")) {
      auto percent = json::at(metric, "resource", "current", "averageUtilization");
      json::set(object, percent, "status", "currentCPUUtilizationPercentage");
      break;
    }
  json::erase(object, "status", "currentMetrics");
  json::erase(object, "status", "conditions");
}

}  // namespace

void convert_version(const api::Kind& from, const api::Kind& to, json::Value& object) {
  if (&from == &to || (from.group == to.group && from.version == to.version)) return;
  if (from.kind == "Event") {
    bool from_core = from.group.empty();
    for (const auto& r : kEventFields) from_core ? rename(object, r.left, r.right) : rename(object, r.right, r.left);
  } else if (from.kind == "HorizontalPodAutoscaler") {
    to.version == "v2" ? autoscaler_to_v2(object) : autoscaler_to_v1(object);
  }
  json::set(object, to.api_version(), "apiVersion");
}

}  // namespace lab::apiserver
