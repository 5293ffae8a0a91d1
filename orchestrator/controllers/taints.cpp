#include <algorithm>

#include "orchestrator/api/time.h"
#include "orchestrator/controllers/node_lifecycle.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

namespace {

constexpr const char* kNotReady = "node.kubernetes.io/not-ready";
constexpr const char* kUnreachable = "node.kubernetes.io/unreachable";

struct ConditionTaint {
  const char* condition;
  const char* status;
  const char* key;
};
constexpr ConditionTaint kConditionTaints[] = {
    {"Ready", "False", kNotReady},
    {"Ready", "Unknown", kUnreachable},
    {"MemoryPressure", "True", "node.kubernetes.io/memory-pressure"},
    {"DiskPressure", "True", "node.kubernetes.io/disk-pressure"},
    {"PIDPressure", "True", "node.kubernetes.io/pid-pressure"},
    {"NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"},
};
constexpr const char* kUnschedulable = "node.kubernetes.io/unschedulable";

bool is_ours(const json::Value& taint) {
  auto key = json::str(taint, "key");
  auto effect = json::str(taint, "effect");
  if (effect == "NoExecute") return key == kNotReady || key == kUnreachable;
  if (effect != "NoSchedule") return false;
  return key == kUnschedulable ||
         std::any_of(std::begin(kConditionTaints), std::end(kConditionTaints), [&](auto& t) { return key == t.key; });
}

}  // namespace

json::Array lifecycle_taints(const json::Value& node, WallTime now) {
  const auto& before = json::list(node, "spec", "taints");
  json::Array out;
  for (const auto& taint : before)
    if (!is_ours(taint)) out.push_back(taint);
  auto put = [&](const char* key, const char* effect, bool timed) {
    for (const auto& old : before)
      if (json::str(old, "key") == key && json::str(old, "effect") == effect) return out.push_back(old);
    json::Object taint{{"key", key}, {"effect", effect}};
    if (timed) taint["timeAdded"] = api::format_time(now);
    out.push_back(std::move(taint));
  };
  for (const auto& [condition, status, key] : kConditionTaints) {
    if (!condition_is(node, condition, status)) continue;
    put(key, "NoSchedule", true);
    if (std::string_view(condition) == "Ready") put(key, "NoExecute", true);
  }
  if (json::flag(node, "spec", "unschedulable")) put(kUnschedulable, "NoSchedule", true);
  return out;
}

bool tolerates(const json::Value& toleration, const json::Value& taint) {
  auto effect = json::str(toleration, "effect");
  if (!effect.empty() && effect != json::str(taint, "effect")) return false;
  auto key = json::str(toleration, "key");
  bool exists = json::str(toleration, "operator") == "Exists";
  if (key.empty()) return exists;
  if (key != json::str(taint, "key")) return false;
  return exists || json::str(toleration, "value") == json::str(taint, "value");
}

std::optional<std::chrono::seconds> toleration_time(const json::Value& pod, const json::Array& taints) {
  std::optional<std::chrono::seconds> shortest;
  for (const auto& taint : taints) {
    if (json::str(taint, "effect") != "NoExecute") continue;
    bool tolerated = false;
    for (const auto& toleration : json::list(pod, "spec", "tolerations")) {
      if (!tolerates(toleration, taint)) continue;
      tolerated = true;
      if (!json::has(toleration, "tolerationSeconds")) continue;
      auto given = std::chrono::seconds(std::max<std::int64_t>(0, json::num(toleration, "tolerationSeconds")));
      shortest = shortest ? std::min(*shortest, given) : given;
    }
    if (!tolerated) return std::chrono::seconds(0);
  }
  return shortest;
}

}  // namespace lab::controllers
