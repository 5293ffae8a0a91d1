#include "orchestrator/controllers/job_policy.h"

#include <algorithm>

#include "orchestrator/controllers/job_plan.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

// The container whose end the rule is about, and its exit code.
struct Ended {
  std::string container;
  std::int64_t code = 0;
};

std::optional<Ended> ended_as(const json::Value& rule, const json::Value& pod) {
  const auto wanted = json::str(rule, "containerName");
  const bool in = json::str(rule, "operator") == "In";
  const auto& values = json::list(rule, "values");
  for (const char* list : {"initContainerStatuses", "containerStatuses"})
    for (const auto& status : json::list(pod, "status", list)) {
      const auto& terminated = json::at(status, "state", "terminated");
      const auto code = json::num(terminated, "exitCode");
      // An exit code of 0 is no failure, whatever the rule lists.
      if (terminated.is_null() || code == 0) continue;
      if (!wanted.empty() && json::str(status, "name") != wanted) continue;
      const bool listed = std::ranges::any_of(values, [&](const auto& v) { return json::as_int(v) == code; });
      if (listed == in) return Ended{std::string(json::str(status, "name")), code};
    }
  return std::nullopt;
}

std::optional<std::string> condition_held(const json::Value& rule, const json::Value& pod) {
  for (const auto& pattern : json::list(rule, "onPodConditions")) {
    const auto* held = condition_in(json::list(pod, "status", "conditions"), json::str(pattern, "type"));
    if (held && json::str(*held, "status") == json::str(pattern, "status"))
      return std::string(json::str(pattern, "type"));
  }
  return std::nullopt;
}

FailureVerdict::Action action_of(std::string_view name) {
  if (name == "FailJob") return FailureVerdict::kFailJob;
  if (name == "FailIndex") return FailureVerdict::kFailIndex;
  return name == "Ignore" ? FailureVerdict::kIgnore : FailureVerdict::kCount;
}

}  // namespace

FailureVerdict judge_failure(const json::Value& job, const json::Value& pod) {
  const auto& rules = json::list(job, "spec", "podFailurePolicy", "rules");
  const std::string pod_key = ns_of(pod) + "/" + name_of(pod);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto name = json::str(rules[i], "action");
    const std::string at = " matching " + std::string(name) + " rule at index " + std::to_string(i);
    if (const auto& codes = json::at(rules[i], "onExitCodes"); !codes.is_null()) {
      if (auto ended = ended_as(codes, pod))
        return {action_of(name), "Container " + ended->container + " for pod " + pod_key + " failed with exit code " +
                                     std::to_string(ended->code) + at};
    } else if (auto type = condition_held(rules[i], pod)) {
      return {action_of(name), "Pod " + pod_key + " has condition " + *type + at};
    }
  }
  return {};
}

std::optional<std::string> success_rule_met(const json::Value& job, const std::set<std::int64_t>& succeeded) {
  const auto& rules = json::list(job, "spec", "successPolicy", "rules");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto named = parse_indexes(json::str(rules[i], "succeededIndexes"));
    const auto met =
        std::ranges::count_if(succeeded, [&](auto index) { return named.empty() || named.contains(index); });
    const auto& needed = json::at(rules[i], "succeededCount");
    const auto enough = needed.is_null() ? std::ssize(named) : json::as_int(needed);
    if (enough > 0 && met >= enough) return "Matched rules at index " + std::to_string(i);
  }
  return std::nullopt;
}

bool limits_per_index(const json::Value& job) {
  return is_indexed(job) && json::has(job, "spec", "backoffLimitPerIndex");
}

bool replaces_failed_only(const json::Value& job) {
  return json::str(job, "spec", "podReplacementPolicy") == "Failed";
}

bool managed_elsewhere(const json::Value& job) {
  const auto manager = json::str(job, "spec", "managedBy");
  return !manager.empty() && manager != "kubernetes.io/job-controller";
}

}  // namespace lab::controllers
