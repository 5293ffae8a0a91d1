// Editing objects in place without leaving traces: a field that is not there is not made.
#pragma once

#include "base/json.h"

namespace lab::apiserver {

// The field for writing; null where it, or anything on the way, is absent. Good until a field is added beside it.
inline json::Value* find(json::Value& v) {
  return &v;
}
template <class... Keys>
json::Value* find(json::Value& v, std::string_view key, Keys... rest) {
  auto* object = v.if_object();
  auto* field = object ? object->if_contains(key) : nullptr;
  return field ? find(*field, std::string_view(rest)...) : nullptr;
}

template <class... Keys>
json::Array* find_list(json::Value& v, Keys... keys) {
  auto* field = find(v, std::string_view(keys)...);
  return field ? field->if_array() : nullptr;
}

// The list for adding to; made where it is absent.
template <class... Keys>
json::Array& make_list(json::Value& v, Keys... keys) {
  auto& field = json::ensure(v, std::string_view(keys)...);
  return field.is_array() ? field.get_array() : field.emplace_array();
}

}  // namespace lab::apiserver
