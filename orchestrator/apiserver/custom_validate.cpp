// Objects of custom kinds held against their structural schema, in the words of kube-openapi's validation.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <regex>

#include "orchestrator/apiserver/custom_kind.h"

namespace lab::apiserver {
namespace {

using Findings = std::vector<api::Finding>;

// A longer text is not matched: the library's matcher recurses once for each character.
constexpr std::size_t kLongestMatched = 16 * 1024;

struct Place {
  std::string path;
  std::string name() const { return path.empty() ? "<nil>" : path; }
  Place below(std::string_view key) const { return {path.empty() ? std::string(key) : path + "." + std::string(key)}; }
  Place at(std::size_t i) const { return {path + "[" + std::to_string(i) + "]"}; }
};

void check_at(const json::Value& schema, const json::Value& value, const Place& place, Findings& out);

void invalid(const Place& place, const json::Value& value, const std::string& why, Findings& out) {
  out.push_back({place.name(), "FieldValueInvalid",
                 "Invalid value: " + json::dump(value) + ": " + place.name() + " in body " + why});
}

bool fits_type(const json::Value& schema, const json::Value& value) {
  const auto type = json::str(schema, "type");
  if (type.empty()) return true;
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_bool();
  if (type == "number") return value.is_number();
  // 3.0 is an integer to JSON.
  return value.is_int64() || value.is_uint64() ||
         (value.is_double() && std::trunc(value.get_double()) == value.get_double());
}

// Compiled once for each thread; null where it is no pattern that is understood here.
const std::regex* pattern_of(const std::string& text) {
  static thread_local std::map<std::string, std::unique_ptr<std::regex>> known;
  if (known.size() > 1000) known.clear();
  auto [it, fresh] = known.try_emplace(text);
  if (fresh) {
    try {
      it->second = std::make_unique<std::regex>(text, std::regex::ECMAScript | std::regex::optimize);
    } catch (const std::regex_error&) {
    }
  }
  return it->second.get();
}

bool matches(std::string_view text, const std::regex& pattern) {
  try {
    return std::regex_search(text.begin(), text.end(), pattern);
  } catch (const std::regex_error&) {
    return true;  // too much work for the matcher: not told apart
  }
}

std::int64_t characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

// A lower and an upper bound of something that is counted.
void check_count(const json::Value& schema, const char* least, const char* most, std::int64_t count,
                 const std::string& what, const json::Value& value, const Place& place, Findings& out) {
  if (json::has(schema, least) && count < json::num(schema, least))
    invalid(place, value, "should " + what + " at least " + std::to_string(json::num(schema, least)), out);
  if (json::has(schema, most) && count > json::num(schema, most))
    invalid(place, value, "should " + what + " at most " + std::to_string(json::num(schema, most)), out);
}

void check_string(const json::Value& schema, const json::Value& value, const Place& place, Findings& out) {
  const auto text = json::as_str(value);
  const auto length = characters(text);
  if (json::has(schema, "minLength") && length < json::num(schema, "minLength"))
    invalid(place, value, "should be at least " + std::to_string(json::num(schema, "minLength")) + " chars long", out);
  if (json::has(schema, "maxLength") && length > json::num(schema, "maxLength"))
    out.push_back({place.name(), "FieldValueTooLong",
                   "Too long: may not be more than " + std::to_string(json::num(schema, "maxLength")) + " bytes"});
  if (const std::string pattern(json::str(schema, "pattern")); !pattern.empty() && text.size() <= kLongestMatched)
    if (const auto* compiled = pattern_of(pattern); compiled && !matches(text, *compiled))
      invalid(place, value, "should match '" + pattern + "'", out);
}

void check_number(const json::Value& schema, const json::Value& value, const Place& place, Findings& out) {
  const double number = value.to_number<double>();
  auto bound = [&](const char* key) { return json::at(schema, key).to_number<double>(); };
  auto shown = [&](const char* key) { return json::dump(json::at(schema, key)); };
  if (json::at(schema, "minimum").is_number()) {
    if (json::flag(schema, "exclusiveMinimum") ? number <= bound("minimum") : number < bound("minimum"))
      invalid(place, value,
              std::string("should be greater than ") + (json::flag(schema, "exclusiveMinimum") ? "" : "or equal to ") +
                  shown("minimum"),
              out);
  }
  if (json::at(schema, "maximum").is_number()) {
    if (json::flag(schema, "exclusiveMaximum") ? number >= bound("maximum") : number > bound("maximum"))
      invalid(place, value,
              std::string("should be less than ") + (json::flag(schema, "exclusiveMaximum") ? "" : "or equal to ") +
                  shown("maximum"),
              out);
  }
  if (json::at(schema, "multipleOf").is_number() && bound("multipleOf") > 0 &&
      std::abs(std::remainder(number, bound("multipleOf"))) > 1e-9)
    invalid(place, value, "should be a multiple of " + shown("multipleOf"), out);
}

void check_list(const json::Value& schema, const json::Value& value, const Place& place, Findings& out) {
  const auto& list = value.get_array();
  check_count(schema, "minItems", "maxItems", std::ssize(list), "have", value, place, out);
  for (std::size_t i = 0; i < list.size(); ++i) check_at(json::at(schema, "items"), list[i], place.at(i), out);
  // A set, or a map by its keys, holds each once.
  const auto kind = json::str(schema, "x-kubernetes-list-type");
  if (kind != "set" && kind != "map") return;
  auto key_of = [&](const json::Value& item) {
    if (kind == "set") return json::dump(item);
    json::Object key;
    for (const auto& k : json::list(schema, "x-kubernetes-list-map-keys"))
      key[json::as_str(k)] = json::at(item, json::as_str(k));
    return json::dump(json::Value(std::move(key)));
  };
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < list.size(); ++i)
    if (auto key = key_of(list[i]); !seen.emplace(key, i).second)
      out.push_back({place.at(i).path, "FieldValueDuplicate", "Duplicate value: " + key});
}

void check_fields(const json::Value& schema, const json::Value& value, const Place& place, Findings& out) {
  const auto& object = value.get_object();
  check_count(schema, "minProperties", "maxProperties", std::ssize(object), "have", value, place, out);
  for (const auto& required : json::list(schema, "required"))
    if (!object.contains(json::as_str(required)))
      out.push_back({place.below(json::as_str(required)).path, "FieldValueRequired", "Required value"});
  const auto& properties = json::map(schema, "properties");
  const auto& additional = json::at(schema, "additionalProperties");
  const bool resource = place.path.empty() || json::flag(schema, "x-kubernetes-embedded-resource");
  for (const auto& [key, field] : object) {
    if (resource && (key == "apiVersion" || key == "kind")) continue;
    if (const auto* known = properties.if_contains(key)) {
      check_at(*known, field, place.below(key), out);
    } else if (additional.is_object() && !(resource && key == "metadata")) {
      check_at(additional, field, place.below(key), out);
    }
  }
}

// What stands below oneOf and its like speaks of the same value.
void check_junctors(const json::Value& schema, const json::Value& value, const Place& place, Findings& out) {
  auto holds = [&](const json::Value& other) {
    Findings found;
    check_at(other, value, place, found);
    return found.empty();
  };
  for (const auto& each : json::list(schema, "allOf")) check_at(each, value, place, out);
  if (const auto& any = json::list(schema, "anyOf"); !any.empty() && std::ranges::none_of(any, holds))
    invalid(place, value, "must validate at least one schema (anyOf)", out);
  if (const auto& one = json::list(schema, "oneOf"); !one.empty() && std::ranges::count_if(one, holds) != 1)
    invalid(place, value, "must validate one and only one schema (oneOf)", out);
  if (const auto& none = json::at(schema, "not"); none.is_object() && holds(none))
    invalid(place, value, "must not validate the schema (not)", out);
}

void check_at(const json::Value& schema, const json::Value& value, const Place& place, Findings& out) {
  if (!schema.is_object() || (value.is_null() && json::flag(schema, "nullable"))) return;
  const bool either = json::flag(schema, "x-kubernetes-int-or-string");
  const bool fits = either ? value.is_string() || value.is_int64() || value.is_uint64() : fits_type(schema, value);
  if (!fits) {
    out.push_back({place.name(), "FieldValueTypeInvalid",
                   "Invalid value: " + json::dump(value) + ": " + place.name() + " in body must be of type " +
                       (either ? "integer,string" : std::string(json::str(schema, "type")))});
    return;
  }
  const auto& allowed = json::list(schema, "enum");
  if (!allowed.empty() && std::ranges::find(allowed, value) == allowed.end()) {
    std::string names;
    for (const auto& a : allowed) names += (names.empty() ? "" : ", ") + json::dump(a);
    out.push_back({place.name(), "FieldValueNotSupported",
                   "Unsupported value: " + json::dump(value) + ": supported values: " + names});
  }
  if (value.is_string()) check_string(schema, value, place, out);
  if (value.is_number()) check_number(schema, value, place, out);
  if (value.is_array()) check_list(schema, value, place, out);
  if (value.is_object()) check_fields(schema, value, place, out);
  check_junctors(schema, value, place, out);
}

}  // namespace

std::vector<api::Finding> validate_custom(const json::Value& schema, const json::Value& object) {
  Findings out;
  check_at(schema, object, {}, out);
  return out;
}

}  // namespace lab::apiserver
