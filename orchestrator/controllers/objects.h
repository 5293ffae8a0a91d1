// Accessors over Kubernetes objects that several controllers need. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/io/loop.h"
#include "base/json.h"
#include "orchestrator/client/resource.h"

namespace lab::controllers {

std::string name_of(const json::Value& object);
std::string ns_of(const json::Value& object);
std::string uid_of(const json::Value& object);
inline const json::Object& labels_of(const json::Value& object) {
  return json::map(object, "metadata", "labels");
}
std::string_view label_of(const json::Value& object, std::string_view key);
std::string_view annotation_of(const json::Value& object, std::string_view key);
bool is_terminating(const json::Value& object);  // has a deletionTimestamp
bool has_finalizer(const json::Value& object, std::string_view finalizer);
WallTime created_at(const json::Value& object);  // the epoch when unknown
std::string api_version_of(const client::Resource& r);

// The ownerReference with controller=true; null when the object has none.
const json::Value* controller_of(const json::Value& object);
// A controlling ownerReference to `owner`, which blocks its foreground deletion.
json::Value controller_ref(const client::Resource& kind, const json::Value& owner);
bool controlled_by(const json::Value& object, const json::Value& owner);

// Conditions of pods, nodes, deployments... (status.conditions).
const json::Value* find_condition(const json::Value& object, std::string_view type);
bool condition_is(const json::Value& object, std::string_view type, std::string_view status = "True");
const json::Value* condition_in(const json::Array& conditions, std::string_view type);
// Replaces or adds the condition of new_condition.type. lastTransitionTime stays where the status stays. Says whether
// anything but times changed.
bool put_condition(json::Array& conditions, json::Value condition);
void drop_condition(json::Array& conditions, std::string_view type);
json::Value make_condition(std::string_view type, std::string_view status, std::string_view reason,
                           std::string_view message, WallTime now);

// Pods.
bool pod_active(const json::Value& pod);    // neither finished nor being deleted
bool pod_finished(const json::Value& pod);  // Succeeded or Failed
bool pod_ready(const json::Value& pod);
// Ready for at least min_ready_seconds. nullopt: never without a change; else when it is (in the past: it is now).
std::optional<WallTime> pod_available_at(const json::Value& pod, std::int64_t min_ready_seconds);

// IntOrString against a total: "25%" rounded up or down, or a number.
std::int64_t scaled_value(const json::Value& int_or_percent, std::int64_t total, bool round_up);
std::optional<WallTime> time_at(const json::Value& text);  // of a metav1.Time field

// FNV-1a over the value with its keys in order, written in the alphabet of pod-template-hash.
std::string template_hash(const json::Value& pod_template, std::int64_t collision_count);

}  // namespace lab::controllers
