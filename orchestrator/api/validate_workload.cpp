// apps, batch and autoscaling, in kube-apiserver's words.
#include <algorithm>
#include <cstdint>

#include "orchestrator/api/selector.h"
#include "orchestrator/api/validation.h"

namespace lab::api {

namespace {

const json::Value& spec_of(const Change& c) {
  return json::at(c.object, "spec");
}

// The selector of a workload and the template that it must select. `what` names the kind in the message.
void selector_and_template(const FieldPath& at, const json::Value& spec, std::string_view what, Findings& out) {
  const FieldPath selector_at(at, "selector"), template_at(at, "template");
  const auto& selector = json::at(spec, "selector");
  if (selector.is_null()) {
    out.required(selector_at);
  } else {
    validate_label_selector(selector_at, selector, out);
    if (json::map(selector, "matchLabels").empty() && json::list(selector, "matchExpressions").empty())
      out.invalid_raw(selector_at, go_label_selector(selector), "empty selector is invalid for " + std::string(what));
  }
  const auto& labels = json::map(spec, "template", "metadata", "labels");
  const FieldPath metadata(template_at, "metadata");
  const auto parsed = LabelSelector::from_object(selector);
  if (!selector.is_null() && parsed && !parsed->matches(labels))
    out.invalid_raw(FieldPath(metadata, "labels"), labels.empty() ? "map[string]string(nil)" : go_map(labels),
                    "`selector` does not match template `labels`");
  validate_labels(FieldPath(metadata, "labels"), json::at(spec, "template", "metadata", "labels"), out);
  validate_pod_spec(FieldPath(template_at, "spec"), json::at(spec, "template", "spec"), out);
}

void always_restart(const FieldPath& at, const json::Value& spec, Findings& out) {
  const auto& policy = json::at(spec, "template", "spec", "restartPolicy");
  if (json::as_str(policy) == "Always" || policy.is_null()) return;
  const FieldPath pod_template(at, "template");
  const FieldPath pod_spec(pod_template, "spec");
  out.not_supported(FieldPath(pod_spec, "restartPolicy"), policy, {"Always"});
}

void immutable_selector(const Change& c, Findings& out) {
  if (!c.old || json::at(*c.old, "spec", "selector") == json::at(c.object, "spec", "selector")) return;
  const FieldPath at("spec");
  out.invalid_raw(FieldPath(at, "selector"), go_label_selector(json::at(c.object, "spec", "selector")),
                  "field is immutable");
}

bool is_zero(const json::Value& v) {
  return (v.is_number() && json::as_int(v) == 0) || json::as_str(v) == "0" || json::as_str(v) == "0%";
}

void deployment(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  for (std::string_view key : {"replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"})
    out.not_negative(FieldPath(at, key), json::at(spec, key));
  selector_and_template(at, spec, "deployment", out);
  always_restart(at, spec, out);
  const auto& deadline = json::at(spec, "progressDeadlineSeconds");
  if (deadline.is_number() && json::as_int(deadline) <= json::num(spec, "minReadySeconds"))
    out.invalid(FieldPath(at, "progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds");
  const FieldPath strategy(at, "strategy");
  const auto type = json::str(spec, "strategy", "type");
  if (type != "Recreate" && type != "RollingUpdate")
    out.not_supported(FieldPath(strategy, "type"), json::Value(type), {"Recreate", "RollingUpdate"});
  const FieldPath rolling(strategy, "rollingUpdate");
  const auto& update = json::at(spec, "strategy", "rollingUpdate");
  if (type == "Recreate" && !update.is_null())
    out.forbidden(rolling, "may not be specified when strategy `type` is 'Recreate'");
  if (type == "RollingUpdate") {
    validate_count_or_percent(FieldPath(rolling, "maxUnavailable"), json::at(update, "maxUnavailable"), out);
    validate_count_or_percent(FieldPath(rolling, "maxSurge"), json::at(update, "maxSurge"), out);
    if (is_zero(json::at(update, "maxUnavailable")) && is_zero(json::at(update, "maxSurge")))
      out.invalid(FieldPath(rolling, "maxUnavailable"), json::at(update, "maxUnavailable"),
                  "may not be 0 when `maxSurge` is 0");
  }
  immutable_selector(c, out);
}

void replica_set(const Change& c, Findings& out) {
  const FieldPath at("spec");
  for (std::string_view key : {"replicas", "minReadySeconds"})
    out.not_negative(FieldPath(at, key), json::at(spec_of(c), key));
  selector_and_template(at, spec_of(c), "replicaset", out);
  always_restart(at, spec_of(c), out);
  immutable_selector(c, out);
}

void daemon_set(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  for (std::string_view key : {"minReadySeconds", "revisionHistoryLimit"})
    out.not_negative(FieldPath(at, key), json::at(spec, key));
  selector_and_template(at, spec, "daemonset", out);
  always_restart(at, spec, out);
  const FieldPath strategy(at, "updateStrategy");
  out.one_of(FieldPath(strategy, "type"), json::str(spec, "updateStrategy", "type"), {"OnDelete", "RollingUpdate"});
  const auto& update = json::at(spec, "updateStrategy", "rollingUpdate");
  const FieldPath rolling(strategy, "rollingUpdate");
  if (!update.is_null() && is_zero(json::at(update, "maxUnavailable")) && is_zero(json::at(update, "maxSurge")))
    out.required(FieldPath(rolling, "maxUnavailable"), "cannot be 0 when maxSurge is 0");
  immutable_selector(c, out);
}

void stateful_set(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  for (std::string_view key : {"replicas", "minReadySeconds", "revisionHistoryLimit"})
    out.not_negative(FieldPath(at, key), json::at(spec, key));
  out.one_of(FieldPath(at, "podManagementPolicy"), json::str(spec, "podManagementPolicy"),
             {"OrderedReady", "Parallel"});
  const FieldPath strategy(at, "updateStrategy");
  out.one_of(FieldPath(strategy, "type"), json::str(spec, "updateStrategy", "type"), {"OnDelete", "RollingUpdate"});
  // Mounts may name claims of the volumeClaimTemplates: they count as volumes of the template.
  json::Value with_claims = spec;
  auto& volumes = json::ensure(with_claims, "template", "spec", "volumes");
  if (!volumes.is_array()) volumes = json::Array();
  for (const auto& claim : json::list(spec, "volumeClaimTemplates")) {
    const auto& name = json::at(claim, "metadata", "name");
    auto& list = volumes.get_array();
    for (auto it = list.begin(); it != list.end();) it = json::at(*it, "name") == name ? list.erase(it) : it + 1;
    list.push_back(json::Object{{"name", name}, {"emptyDir", json::Object()}});
  }
  selector_and_template(at, with_claims, "statefulset", out);
  always_restart(at, spec, out);
  if (!c.old) return;
  json::Value before = json::at(*c.old, "spec"), now = spec;
  for (auto* side : {&before, &now})
    for (std::string_view key : {"replicas", "ordinals", "template", "updateStrategy", "minReadySeconds",
                                 "persistentVolumeClaimRetentionPolicy", "revisionHistoryLimit"})
      json::erase(*side, key);
  if (before != now)
    out.forbidden(at,
                  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                  "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                  "'minReadySeconds' are forbidden");
}

void controller_revision(const Change& c, Findings& out) {
  out.not_negative(FieldPath("revision"), json::at(c.object, "revision"));
  validate_unchanged(c, {"data"}, out);
}

void job_spec(const FieldPath& at, const json::Value& spec, bool with_selector, Findings& out) {
  for (std::string_view key : {"parallelism", "completions", "backoffLimit", "activeDeadlineSeconds",
                               "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes"})
    out.not_negative(FieldPath(at, key), json::at(spec, key));
  if (const auto mode = json::str(spec, "completionMode"); !mode.empty())
    out.one_of(FieldPath(at, "completionMode"), mode, {"Indexed", "NonIndexed"});
  const bool indexed = json::str(spec, "completionMode") == "Indexed";
  if (indexed && !json::has(spec, "completions"))
    out.required(FieldPath(at, "completions"), "when completion mode is Indexed");
  if (!indexed)
    for (std::string_view key : {"successPolicy", "backoffLimitPerIndex"})
      if (json::has(spec, key))
        out.invalid(FieldPath(at, key), json::at(spec, key), "requires indexed completion mode");
  if (json::has(spec, "maxFailedIndexes") && !json::has(spec, "backoffLimitPerIndex"))
    out.required(FieldPath(at, "backoffLimitPerIndex"), "when maxFailedIndexes is specified");
  const FieldPath template_at(at, "template");
  const FieldPath pod_spec(template_at, "spec");
  if (with_selector)
    selector_and_template(at, spec, "job", out);
  else
    validate_pod_spec(pod_spec, json::at(spec, "template", "spec"), out);
  if (json::str(spec, "template", "spec", "restartPolicy") == "Always")
    out.required(FieldPath(pod_spec, "restartPolicy"), "valid values: \"OnFailure\", \"Never\"");
}

void job(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  job_spec(at, spec, true, out);
  if (!c.old) return;
  const auto& old = json::at(*c.old, "spec");
  immutable_selector(c, out);
  const bool indexed = json::str(spec, "completionMode") == "Indexed";
  const bool scaled = json::at(spec, "completions") == json::at(spec, "parallelism");
  if (!indexed || !scaled) validate_unchanged(c, {"spec", "completions"}, out);
  for (std::string_view key :
       {"completionMode", "podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "managedBy", "manualSelector"})
    validate_unchanged(c, {"spec", key}, out);
  // A job that is suspended and has never started may still be told where and how big its pods run.
  json::Value before = json::at(old, "template"), now = json::at(spec, "template");
  if (json::flag(old, "suspend") && !json::has(*c.old, "status", "startTime"))
    for (auto* side : {&before, &now}) {
      for (std::string_view key : {"nodeSelector", "affinity", "tolerations", "schedulingGates"})
        json::erase(*side, "spec", key);
      json::erase(*side, "metadata");
    }
  if (before != now) out.invalid(FieldPath(at, "template"), json::at(spec, "template"), "field is immutable");
}

void cron_job(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  const auto schedule = json::str(spec, "schedule");
  if (schedule.empty()) {
    out.required(FieldPath(at, "schedule"));
  } else if (!schedule.starts_with('@')) {
    std::vector<std::string> fields;
    for (std::size_t i = 0; i < schedule.size();) {
      const std::size_t from = schedule.find_first_not_of(' ', i);
      if (from == schedule.npos) break;
      const std::size_t end = std::min(schedule.find(' ', from), schedule.size());
      fields.emplace_back(schedule.substr(from, end - from));
      i = end;
    }
    if (fields.size() != 5) {
      std::string list;
      for (const auto& f : fields) list += (list.empty() ? "" : " ") + f;
      out.invalid(FieldPath(at, "schedule"), json::Value(schedule),
                  "expected exactly 5 fields, found " + std::to_string(fields.size()) + ": [" + list + "]");
    }
    if (schedule.find("TZ") != schedule.npos)
      out.invalid(FieldPath(at, "schedule"), json::Value(schedule),
                  "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
  }
  out.one_of(FieldPath(at, "concurrencyPolicy"), json::str(spec, "concurrencyPolicy"), {"Allow", "Forbid", "Replace"});
  for (std::string_view key : {"startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"})
    out.not_negative(FieldPath(at, key), json::at(spec, key));
  const FieldPath job_template(at, "jobTemplate");
  job_spec(FieldPath(job_template, "spec"), json::at(spec, "jobTemplate", "spec"), false, out);
}

void autoscaler(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  const auto& min = json::at(spec, "minReplicas");
  const std::int64_t max = json::num(spec, "maxReplicas");
  if (min.is_number() && json::as_int(min) < 1)
    out.invalid(FieldPath(at, "minReplicas"), min, "must be greater than or equal to 1");
  if (max < 1) out.invalid(FieldPath(at, "maxReplicas"), json::Value(max), "must be greater than 0");
  if (min.is_number() && max < json::as_int(min))
    out.invalid(FieldPath(at, "maxReplicas"), json::Value(max), "must be greater than or equal to `minReplicas`");
  const FieldPath target(at, "scaleTargetRef");
  for (std::string_view key : {"kind", "name"})
    if (json::str(spec, "scaleTargetRef", key).empty()) out.required(FieldPath(target, key));
}

void scale(const Change& c, Findings& out) {
  const FieldPath at("spec");
  out.not_negative(FieldPath(at, "replicas"), json::at(spec_of(c), "replicas"));
}

}  // namespace

Validator workload_validator(std::string_view group, std::string_view kind) {
  struct Row {
    std::string_view group, kind;
    Validator f;
  };
  static constexpr Row kTable[] = {
      {"apps", "Deployment", deployment},
      {"apps", "ReplicaSet", replica_set},
      {"apps", "DaemonSet", daemon_set},
      {"apps", "StatefulSet", stateful_set},
      {"apps", "ControllerRevision", controller_revision},
      {"batch", "Job", job},
      {"batch", "CronJob", cron_job},
      {"autoscaling", "HorizontalPodAutoscaler", autoscaler},
      {"autoscaling", "Scale", scale},
  };
  for (const Row& row : kTable)
    if (row.group == group && row.kind == kind) return row.f;
  return nullptr;
}

}  // namespace lab::api
