// Defaults of apps, batch and autoscaling, as kube-apiserver 1.32 sets them.
#include <cstdint>

#include "orchestrator/api/defaults_parts.h"

namespace lab::api {

namespace {

using json::Object;

void deployment(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "replicas", 1);
  Object& strategy = ensure_child(spec, "strategy");
  set_default(strategy, "type", "RollingUpdate");
  if (json::as_str(strategy["type"]) == "RollingUpdate") {
    Object& rolling = ensure_child(strategy, "rollingUpdate");
    set_default(rolling, "maxUnavailable", "25%");
    set_default(rolling, "maxSurge", "25%");
  }
  set_default(spec, "revisionHistoryLimit", 10);
  set_default(spec, "progressDeadlineSeconds", 600);
  default_pod_template(spec);
}

void daemon_set(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  Object& strategy = ensure_child(spec, "updateStrategy");
  set_default(strategy, "type", "RollingUpdate");
  if (json::as_str(strategy["type"]) == "RollingUpdate") {
    Object& rolling = ensure_child(strategy, "rollingUpdate");
    set_default(rolling, "maxUnavailable", 1);
    set_default(rolling, "maxSurge", 0);
  }
  set_default(spec, "revisionHistoryLimit", 10);
  default_pod_template(spec);
}

void stateful_set(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "podManagementPolicy", "OrderedReady");
  Object& strategy = ensure_child(spec, "updateStrategy");
  set_default(strategy, "type", "RollingUpdate");
  if (json::as_str(strategy["type"]) == "RollingUpdate")
    set_default(ensure_child(strategy, "rollingUpdate"), "partition", 0);
  Object& retention = ensure_child(spec, "persistentVolumeClaimRetentionPolicy");
  set_default(retention, "whenDeleted", "Retain");
  set_default(retention, "whenScaled", "Retain");
  set_default(spec, "replicas", 1);
  set_default(spec, "revisionHistoryLimit", 10);
  for_each_item(spec, "volumeClaimTemplates", [](Object& claim) {
    set_default(claim, "apiVersion", "v1");
    set_default(claim, "kind", "PersistentVolumeClaim");
    default_claim(claim);
  });
  default_pod_template(spec);
}

void replica_set(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "replicas", 1);
  default_pod_template(spec);
}

void job(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  // One pod unless the job is a work queue (parallelism without completions).
  if (get(spec, "completions").is_null() && get(spec, "parallelism").is_null()) spec["completions"] = 1;
  set_default(spec, "parallelism", 1);
  const bool per_index = !get(spec, "backoffLimitPerIndex").is_null();
  set_default(spec, "backoffLimit", per_index ? INT32_MAX : 6);
  set_default(spec, "completionMode", "NonIndexed");
  set_default(spec, "suspend", false);
  set_default(spec, "manualSelector", false);
  const bool failure_policy = child(spec, "podFailurePolicy");
  set_default(spec, "podReplacementPolicy", failure_policy ? "Failed" : "TerminatingOrFailed");
  if (auto* policy = child(spec, "podFailurePolicy"))
    for_each_item(*policy, "rules", [](Object& rule) {
      for_each_item(rule, "onPodConditions", [](Object& pattern) { set_default(pattern, "status", "True"); });
    });
  default_pod_template(spec);
  Object* pod_template = child(spec, "template");
  Object* metadata = pod_template ? child(*pod_template, "metadata") : nullptr;
  Object* labels = metadata ? child(*metadata, "labels") : nullptr;
  Object& own = ensure_child(object, "metadata");
  if (labels && !labels->empty() && (!child(own, "labels") || child(own, "labels")->empty())) own["labels"] = *labels;
}

void cron_job(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "concurrencyPolicy", "Allow");
  set_default(spec, "suspend", false);
  set_default(spec, "successfulJobsHistoryLimit", 3);
  set_default(spec, "failedJobsHistoryLimit", 1);
  if (auto* job_template = child(spec, "jobTemplate"))
    if (auto* job_spec = child(*job_template, "spec")) default_pod_template(*job_spec);
}

Object scaling_policy(std::string_view type, int value) {
  return {{"type", type}, {"value", value}, {"periodSeconds", 15}};
}

void autoscaler(const Kind& kind, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "minReplicas", 1);
  if (kind.version == "v1") return;
  if (json::as_array(get(spec, "metrics")).empty())
    spec["metrics"] = json::Array{
        Object{{"type", "Resource"},
               {"resource",
                Object{{"name", "cpu"}, {"target", Object{{"type", "Utilization"}, {"averageUtilization", 80}}}}}}};
  Object* behavior = child(spec, "behavior");
  if (!behavior) return;
  Object& up = ensure_child(*behavior, "scaleUp");
  set_default(up, "stabilizationWindowSeconds", 0);
  set_default(up, "selectPolicy", "Max");
  set_default(up, "policies", json::Array{scaling_policy("Pods", 4), scaling_policy("Percent", 100)});
  Object& down = ensure_child(*behavior, "scaleDown");
  set_default(down, "selectPolicy", "Max");
  set_default(down, "policies", json::Array{scaling_policy("Percent", 100)});
}

}  // namespace

Defaulter workload_defaulter(std::string_view group, std::string_view kind) {
  struct Row {
    std::string_view group, kind;
    Defaulter f;
  };
  static constexpr Row kTable[] = {
      {"apps", "Deployment", deployment},
      {"apps", "DaemonSet", daemon_set},
      {"apps", "StatefulSet", stateful_set},
      {"apps", "ReplicaSet", replica_set},
      {"batch", "Job", job},
      {"batch", "CronJob", cron_job},
      {"autoscaling", "HorizontalPodAutoscaler", autoscaler},
  };
  for (const Row& row : kTable)
    if (row.group == group && row.kind == kind) return row.f;
  return nullptr;
}

}  // namespace lab::api
