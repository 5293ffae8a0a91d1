// JSON values: Boost.JSON's, with the few accessors that code over Kubernetes objects needs.
//
// Reading is total: an absent field or one of another type gives the fallback (null, "", 0), never an exception, since
// objects come from outside. Paths are written as separate keys: str(pod, "metadata", "name").
#pragma once

#include <boost/json.hpp>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::json {

using Value = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;
using String = boost::json::string;
using boost::json::kind;

// Nesting allowed in input; deeper text is refused (BadRequest).
inline constexpr std::size_t kMaxDepth = 128;

Result<Value> parse(std::string_view text);   // BadRequest with line and column on bad text
std::string dump(const Value& value);         // compact
std::string dump_pretty(const Value& value, int indent = 4);

const Value& null_value();
const Object& empty_object();
const Array& empty_array();

inline const Value& at(const Value& v) { return v; }
template <class... Keys>
const Value& at(const Value& v, std::string_view key, Keys... rest) {
  if (const auto* object = v.if_object())
    if (const auto* field = object->if_contains(key)) return at(*field, rest...);
  return null_value();
}

inline std::string_view as_str(const Value& v, std::string_view fallback = {}) {
  const auto* s = v.if_string();
  return s ? std::string_view(s->data(), s->size()) : fallback;
}
std::int64_t as_int(const Value& v, std::int64_t fallback = 0);
inline bool as_bool(const Value& v, bool fallback = false) { return v.is_bool() ? v.get_bool() : fallback; }
inline const Object& as_object(const Value& v) { return v.is_object() ? v.get_object() : empty_object(); }
inline const Array& as_array(const Value& v) { return v.is_array() ? v.get_array() : empty_array(); }

// str(pod, "metadata", "name"): "" when absent. The view lives as long as the value does.
template <std::convertible_to<std::string_view>... Keys>
std::string_view str(const Value& v, Keys... keys) { return as_str(at(v, std::string_view(keys)...)); }
template <std::convertible_to<std::string_view>... Keys>
std::int64_t num(const Value& v, Keys... keys) { return as_int(at(v, std::string_view(keys)...)); }
template <std::convertible_to<std::string_view>... Keys>
bool flag(const Value& v, Keys... keys) { return as_bool(at(v, std::string_view(keys)...)); }
template <std::convertible_to<std::string_view>... Keys>
const Array& list(const Value& v, Keys... keys) { return as_array(at(v, std::string_view(keys)...)); }
template <std::convertible_to<std::string_view>... Keys>
const Object& map(const Value& v, Keys... keys) { return as_object(at(v, std::string_view(keys)...)); }
template <std::convertible_to<std::string_view>... Keys>
bool has(const Value& v, Keys... keys) { return !at(v, std::string_view(keys)...).is_null(); }

// The field for writing; objects on the way are made (and replace what is no object).
Value& ensure(Value& v);
template <class... Keys>
Value& ensure(Value& v, std::string_view key, Keys... rest) {
  if (!v.is_object()) v.emplace_object();
  auto& object = v.get_object();
  auto* field = object.if_contains(key);
  if (!field) field = &object.insert_or_assign(key, nullptr).first->value();
  if constexpr (sizeof...(rest) == 0)
    return *field;
  else
    return ensure(*field, std::string_view(rest)...);
}
// set(pod, VALUE, "status", "phase")
template <class T, class... Keys>
void set(Value& v, T&& value, Keys... keys) { ensure(v, std::string_view(keys)...) = std::forward<T>(value); }
// Removes a field; nothing happens where it is absent.
template <class... Keys>
void erase(Value& v, std::string_view key, Keys... rest) {
  auto* object = v.if_object();
  if (!object) return;
  if constexpr (sizeof...(rest) == 0) {
    object->erase(key);
  } else if (auto* field = object->if_contains(key)) {
    erase(*field, std::string_view(rest)...);
  }
}

}  // namespace lab::json
