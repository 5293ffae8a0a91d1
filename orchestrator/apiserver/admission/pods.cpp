// What every Pod gets or must meet: priority, tolerations of node failures, its RuntimeClass; and new Nodes' first
// taint.
#include <algorithm>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/admission/edit.h"

namespace lab::apiserver::admission {
namespace {

using json::Object;
using json::Value;

Object toleration(const char* key, int seconds) {
  return Object{{"effect", "NoExecute"}, {"key", key}, {"operator", "Exists"}, {"tolerationSeconds", seconds}};
}

bool tolerates(const Value& pod, std::string_view key) {
  return std::ranges::any_of(json::list(pod, "spec", "tolerations"), [&](const Value& t) {
    std::string_view k = json::str(t, "key"), effect = json::str(t, "effect");
    return (k == key || k.empty()) && (effect == "NoExecute" || effect.empty());
  });
}

struct Class {
  std::int64_t value = 0;
  std::string name, preemption = "PreemptLowerPriority";
};

Class class_of(const Value& object) {
  Class c{.value = json::num(object, "value"), .name = std::string(json::str(object, "metadata", "name"))};
  if (auto p = json::str(object, "preemptionPolicy"); !p.empty()) c.preemption = p;
  return c;
}

}  // namespace

Result<void> priority(WriteContext& ctx, const Value* old, Value* object) {
  if (!is(ctx, "", "pods") || !is_create(ctx, old, object)) return {};
  static const api::KindPtr classes = api::find_kind("scheduling.k8s.io", "v1", "priorityclasses");
  Class chosen;
  std::string name(json::str(*object, "spec", "priorityClassName"));
  if (!name.empty()) {
    auto found = ctx.reader.get(*classes, {}, name);
    if (!found) return refuse(ctx, "no PriorityClass with name " + name + " was found");
    chosen = class_of(*found);
  } else {
    // Several defaults are possible for a moment; the lowest one holds.
    bool any = false;
    for (const auto& c : ctx.reader.list(*classes))
      if (json::flag(*c, "globalDefault") && (!any || json::num(*c, "value") < chosen.value)) {
        chosen = class_of(*c);
        any = true;
      }
    if (any) json::set(*object, chosen.name, "spec", "priorityClassName");
  }
  if (const Value& given = json::at(*object, "spec", "priority");
      !given.is_null() && json::as_int(given) != chosen.value)
    return refuse(ctx, "the integer value of priority (" + std::to_string(json::as_int(given)) +
                           ") must not be provided in pod spec; priority admission controller computed " +
                           std::to_string(chosen.value) + " from the given PriorityClass name");
  std::string_view preemption = json::str(*object, "spec", "preemptionPolicy");
  if (!preemption.empty() && preemption != chosen.preemption)
    return refuse(ctx, "the string value of PreemptionPolicy (" + std::string(preemption) +
                           ") must not be provided in pod spec; priority admission controller computed " +
                           chosen.preemption + " from the given PriorityClass name");
  json::set(*object, chosen.value, "spec", "priority");
  json::set(*object, chosen.preemption, "spec", "preemptionPolicy");
  return {};
}

Result<void> default_toleration_seconds(WriteContext& ctx, const Value* old, Value* object) {
  return default_tolerations(ctx, old, object, kFailureToleration);
}

Result<void> default_tolerations(WriteContext& ctx, const Value* old, Value* object, int seconds) {
  if (!is(ctx, "", "pods") || !is_create(ctx, old, object)) return {};
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    if (tolerates(*object, key)) continue;
    make_list(*object, "spec", "tolerations").push_back(toleration(key, seconds));
  }
  return {};
}

Result<void> taint_nodes_by_condition(WriteContext& ctx, const Value* old, Value* object) {
  if (!is(ctx, "", "nodes") || !is_create(ctx, old, object)) return {};
  constexpr std::string_view kNotReady = "node.kubernetes.io/not-ready";
  for (const auto& t : json::list(*object, "spec", "taints"))
    if (json::str(t, "key") == kNotReady && json::str(t, "effect") == "NoSchedule") return {};
  make_list(*object, "spec", "taints").push_back(Object{{"effect", "NoSchedule"}, {"key", kNotReady}});
  return {};
}

Result<void> runtime_class(WriteContext& ctx, const Value* old, Value* object) {
  if (!is(ctx, "", "pods") || !is_create(ctx, old, object)) return {};
  std::string name(json::str(*object, "spec", "runtimeClassName"));
  if (name.empty()) return {};
  static const api::KindPtr classes = api::find_kind("node.k8s.io", "v1", "runtimeclasses");
  auto found = ctx.reader.get(*classes, {}, name);
  if (!found) return refuse(ctx, "pod rejected: RuntimeClass \"" + name + "\" not found");
  if (const Value& overhead = json::at(*found, "overhead", "podFixed"); !overhead.is_null()) {
    if (json::has(*object, "spec", "overhead") && json::at(*object, "spec", "overhead") != overhead)
      return refuse(ctx, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    json::set(*object, overhead, "spec", "overhead");
  }
  for (const auto& [key, value] : json::map(*found, "scheduling", "nodeSelector")) {
    std::string_view k = key, own = json::str(*object, "spec", "nodeSelector", k);
    if (!own.empty() && own != json::as_str(value))
      return refuse(ctx, "conflict: runtimeClass.scheduling.nodeSelector[" + std::string(k) +
                             "] = " + std::string(json::as_str(value)) + "; pod.spec.nodeSelector[" + std::string(k) +
                             "] = " + std::string(own));
    json::set(*object, value, "spec", "nodeSelector", k);
  }
  for (const auto& t : json::list(*found, "scheduling", "tolerations")) {
    auto& list = make_list(*object, "spec", "tolerations");
    if (std::ranges::find(list, t) == list.end()) list.push_back(t);
  }
  return {};
}

}  // namespace lab::apiserver::admission
