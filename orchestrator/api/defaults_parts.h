// Pieces of defaulting shared by the groups' files. Each sets what is absent or null and leaves everything else.
#pragma once

#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::api {

// The field, made when absent. Boost.JSON's own operator[] may move every field even when the key is there already;
// this moves them only when it adds one.
inline json::Value& field_of(json::Object& object, std::string_view key) {
  if (auto* field = object.if_contains(key)) return *field;
  return object.emplace(key, nullptr).first->value();
}
inline void set_default(json::Object& object, std::string_view key, json::Value value) {
  auto& field = field_of(object, key);
  if (field.is_null()) field = std::move(value);
}
// Reading does not make the field.
inline const json::Value& get(const json::Object& object, std::string_view key) {
  const auto* field = object.if_contains(key);
  return field ? *field : json::null_value();
}
inline json::Object* child(json::Object& object, std::string_view key) {
  auto* field = object.if_contains(key);
  return field ? field->if_object() : nullptr;
}
// The object under a key, made when absent.
inline json::Object& ensure_child(json::Object& object, std::string_view key) {
  auto& field = field_of(object, key);
  if (!field.is_object()) field = json::Object();
  return field.get_object();
}
// Calls f(object) for every object in the array under a key.
template <class F>
void for_each_item(json::Object& object, std::string_view key, F f) {
  auto* field = object.if_contains(key);
  auto* list = field ? field->if_array() : nullptr;
  if (!list) return;
  for (auto& item : *list)
    if (auto* inner = item.if_object()) f(*inner);
}

// A PodSpec, in a Pod or in a template.
void default_pod_spec(json::Object& spec);
// The template under spec.template of a workload.
void default_pod_template(json::Object& spec);
void default_claim(json::Object& claim);

using Defaulter = void (*)(const Kind& kind, json::Object& object);
// One per group of files; null when the kind has none there.
Defaulter core_defaulter(std::string_view kind);
Defaulter workload_defaulter(std::string_view group, std::string_view kind);
Defaulter policy_defaulter(std::string_view group, std::string_view kind);

}  // namespace lab::api
