// Printers of apps/v1, batch/v1, autoscaling and ReplicationController.
#include "orchestrator/api/printers.h"

namespace lab::api::printers {
namespace {

using json::Array;
using json::Value;

std::string of_total(std::int64_t part, std::int64_t total) {
  return std::to_string(part) + "/" + std::to_string(total);
}

void template_cells(Array& cells, const Value& object) {
  container_cells(cells, json::at(object, "spec", "template", "spec"));
}

Array deployment_cells(const Value& d, WallTime now) {
  Array cells;
  cells.emplace_back(of_total(json::num(d, "status", "readyReplicas"), json::num(d, "spec", "replicas")));
  cells.emplace_back(json::num(d, "status", "updatedReplicas"));
  cells.emplace_back(json::num(d, "status", "availableReplicas"));
  cells.emplace_back(age(d, now));
  template_cells(cells, d);
  cells.emplace_back(format_selector(json::at(d, "spec", "selector")));
  return cells;
}

Array replicaset_cells(const Value& r, WallTime now) {
  Array cells;
  cells.emplace_back(json::num(r, "spec", "replicas"));
  cells.emplace_back(json::num(r, "status", "replicas"));
  cells.emplace_back(json::num(r, "status", "readyReplicas"));
  cells.emplace_back(age(r, now));
  template_cells(cells, r);
  cells.emplace_back(format_selector(json::at(r, "spec", "selector")));
  return cells;
}

Array controller_cells(const Value& r, WallTime now) {
  Array cells = replicaset_cells(r, now);
  cells.back() = format_labels(json::map(r, "spec", "selector"));
  return cells;
}

Array daemonset_cells(const Value& d, WallTime now) {
  Array cells;
  for (const char* field :
       {"desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable"})
    cells.emplace_back(json::num(d, "status", field));
  cells.emplace_back(format_labels(json::map(d, "spec", "template", "spec", "nodeSelector")));
  cells.emplace_back(age(d, now));
  template_cells(cells, d);
  cells.emplace_back(format_selector(json::at(d, "spec", "selector")));
  return cells;
}

Array statefulset_cells(const Value& s, WallTime now) {
  Array cells;
  cells.emplace_back(of_total(json::num(s, "status", "readyReplicas"), json::num(s, "spec", "replicas")));
  cells.emplace_back(age(s, now));
  template_cells(cells, s);
  return cells;
}

bool has_condition(const Value& o, std::string_view type) {
  for (const auto& c : json::list(o, "status", "conditions"))
    if (json::str(c, "type") == type && json::str(c, "status") == "True") return true;
  return false;
}

std::string job_status(const Value& j) {
  if (has_condition(j, "Complete")) return "Complete";
  if (has_condition(j, "Failed")) return "Failed";
  if (json::has(j, "metadata", "deletionTimestamp")) return "Terminating";
  if (has_condition(j, "Suspended")) return "Suspended";
  if (has_condition(j, "FailureTarget")) return "FailureTarget";
  if (has_condition(j, "SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}

std::string job_completions(const Value& j) {
  auto succeeded = json::num(j, "status", "succeeded");
  if (json::has(j, "spec", "completions")) return of_total(succeeded, json::num(j, "spec", "completions"));
  auto parallelism = json::num(j, "spec", "parallelism");
  std::string total = parallelism > 1 ? "1 of " + std::to_string(parallelism) : "1";
  return std::to_string(succeeded) + "/" + total;
}

std::string job_duration(const Value& j, WallTime now) {
  auto started = parse_time(json::str(j, "status", "startTime"));
  if (!started) return "";
  auto ended = parse_time(json::str(j, "status", "completionTime"));
  return human_duration(std::chrono::duration_cast<std::chrono::seconds>(ended.value_or(now) - *started));
}

Array job_cells(const Value& j, WallTime now) {
  Array cells;
  cells.emplace_back(job_status(j));
  cells.emplace_back(job_completions(j));
  cells.emplace_back(job_duration(j, now));
  cells.emplace_back(age(j, now));
  template_cells(cells, j);
  cells.emplace_back(format_selector(json::at(j, "spec", "selector")));
  return cells;
}

Array cronjob_cells(const Value& c, WallTime now) {
  std::string_view last = json::str(c, "status", "lastScheduleTime");
  const Value& job = json::at(c, "spec", "jobTemplate", "spec");
  Array cells;
  cells.emplace_back(json::str(c, "spec", "schedule"));
  cells.emplace_back(or_none(json::str(c, "spec", "timeZone")));
  cells.emplace_back(json::flag(c, "spec", "suspend") ? "True" : "False");
  cells.emplace_back(json::list(c, "status", "active").size());
  cells.emplace_back(last.empty() ? "<none>" : since(last, now));
  cells.emplace_back(age(c, now));
  container_cells(cells, json::at(job, "template", "spec"));
  cells.emplace_back(format_selector(json::at(job, "selector")));
  return cells;
}

Array revision_cells(const Value& r, WallTime now) {
  std::string controller = "<none>";
  for (const auto& o : json::list(r, "metadata", "ownerReferences"))
    if (json::flag(o, "controller")) {
      std::string_view api_version = json::str(o, "apiVersion");
      auto slash = api_version.find('/');
      std::string kind(json::str(o, "kind"));
      for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      std::string group = slash == std::string_view::npos ? "" : "." + std::string(api_version.substr(0, slash));
      controller = kind + group + "/" + std::string(json::str(o, "name"));
    }
  return Array{Value(controller), Value(json::num(r, "revision")), Value(age(r, now))};
}

// "cpu: 12%/50%", one part for each metric of the spec.
std::string metric_text(const Value& spec, const Value& status) {
  std::string_view type = json::str(spec, "type");
  struct Source {
    std::string_view type, field;
  };
  static constexpr Source kSources[] = {{"Resource", "resource"},
                                        {"ContainerResource", "containerResource"},
                                        {"Pods", "pods"},
                                        {"Object", "object"},
                                        {"External", "external"}};
  for (const auto& source : kSources) {
    if (source.type != type) continue;
    const Value& target = json::at(spec, source.field, "target");
    const Value& current = json::at(status, source.field, "current");
    std::string name =
        source.field.ends_with("esource") ? std::string(json::str(spec, source.field, "name")) + ": " : "";
    if (json::has(target, "averageUtilization")) {
      std::string have = json::has(current, "averageUtilization")
                             ? std::to_string(json::num(current, "averageUtilization")) + "%"
                             : "<unknown>";
      return name + have + "/" + std::to_string(json::num(target, "averageUtilization")) + "%";
    }
    bool average = json::has(target, "averageValue");
    const char* field = average ? "averageValue" : "value";
    std::string suffix = average && !source.field.ends_with("esource") ? " (avg)" : "";
    return name + or_none(json::str(current, field), "<unknown>") + "/" + std::string(json::str(target, field)) +
           suffix;
  }
  return "<unknown type>";
}

std::string hpa_targets(const Value& h) {
  std::vector<std::string> parts;
  const auto& metrics = json::list(h, "spec", "metrics");
  const auto& current = json::list(h, "status", "currentMetrics");
  for (std::size_t i = 0; i < metrics.size(); ++i)
    parts.push_back(metric_text(metrics[i], i < current.size() ? current[i] : json::null_value()));
  // autoscaling/v1 has the one metric in fields of its own.
  if (json::has(h, "spec", "targetCPUUtilizationPercentage")) {
    bool known = json::has(h, "status", "currentCPUUtilizationPercentage");
    std::string have =
        known ? std::to_string(json::num(h, "status", "currentCPUUtilizationPercentage")) + "%" : "<unknown>";
    parts.push_back("cpu: " + have + "/" + std::to_string(json::num(h, "spec", "targetCPUUtilizationPercentage")) +
                    "%");
  }
  if (parts.empty()) return "<none>";
  constexpr std::size_t kMax = 2;
  if (parts.size() <= kMax) return join(parts, ", ");
  auto more = parts.size() - kMax;
  parts.resize(kMax);
  return join(parts, ", ") + " + " + std::to_string(more) + " more...";
}

Array hpa_cells(const Value& h, WallTime now) {
  const Value& ref = json::at(h, "spec", "scaleTargetRef");
  Array cells;
  cells.emplace_back(std::string(json::str(ref, "kind")) + "/" + std::string(json::str(ref, "name")));
  cells.emplace_back(hpa_targets(h));
  cells.emplace_back(json::has(h, "spec", "minReplicas") ? std::to_string(json::num(h, "spec", "minReplicas"))
                                                         : "<unset>");
  cells.emplace_back(json::num(h, "spec", "maxReplicas"));
  cells.emplace_back(json::num(h, "status", "currentReplicas"));
  cells.emplace_back(age(h, now));
  return cells;
}

}  // namespace

std::vector<Printer> workload_printers() {
  constexpr std::string_view kContainers = "Containers:string*", kImages = "Images:string*",
                             kSelector = "Selector:string*";
  return {
      {"apps",
       "Deployment",
       {"Ready", "Up-to-date", "Available", "Age", kContainers, kImages, kSelector},
       deployment_cells},
      {"apps",
       "ReplicaSet",
       {"Desired:integer", "Current:integer", "Ready:integer", "Age", kContainers, kImages, kSelector},
       replicaset_cells},
      {"",
       "ReplicationController",
       {"Desired:integer", "Current:integer", "Ready:integer", "Age", kContainers, kImages, kSelector},
       controller_cells},
      {"apps",
       "DaemonSet",
       {"Desired:integer", "Current:integer", "Ready:integer", "Up-to-date:integer", "Available:integer",
        "Node Selector", "Age", kContainers, kImages, kSelector},
       daemonset_cells},
      {"apps", "StatefulSet", {"Ready", "Age", kContainers, kImages}, statefulset_cells},
      {"apps", "ControllerRevision", {"Controller", "Revision", "Age"}, revision_cells},
      {"batch", "Job", {"Status", "Completions", "Duration", "Age", kContainers, kImages, kSelector}, job_cells},
      {"batch",
       "CronJob",
       {"Schedule", "Timezone", "Suspend", "Active:integer", "Last Schedule", "Age", kContainers, kImages, kSelector},
       cronjob_cells},
      {"autoscaling",
       "HorizontalPodAutoscaler",
       {"Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"},
       hpa_cells},
  };
}

}  // namespace lab::api::printers
