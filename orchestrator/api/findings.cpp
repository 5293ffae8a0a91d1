#include "orchestrator/api/findings.h"

#include <algorithm>
#include <map>

#include "orchestrator/api/names.h"

namespace lab::api {

FieldPath FieldPath::key(std::string_view name) const {
  FieldPath path(*this, name);
  path.bracket_ = true;
  return path;
}

std::string FieldPath::text() const {
  const std::string before = parent_ ? parent_->text() : std::string();
  if (index_ >= 0) return before + "[" + std::to_string(index_) + "]";
  if (bracket_) return before + "[" + std::string(name_) + "]";
  return before.empty() ? std::string(name_) : before + "." + std::string(name_);
}

namespace {

// Numbers and booleans plain, strings quoted.
std::string shown(const json::Value& value) {
  return json::dump(value);
}

}  // namespace

void Findings::add(const FieldPath& at, std::string_view reason, std::string message) {
  findings_.push_back({at.text(), std::string(reason), std::move(message)});
}

void Findings::required(const FieldPath& at, std::string_view detail) {
  add(at, "FieldValueRequired", detail.empty() ? "Required value" : "Required value: " + std::string(detail));
}

void Findings::invalid_raw(const FieldPath& at, std::string_view value, std::string_view detail) {
  std::string message = "Invalid value: " + std::string(value);
  if (!detail.empty()) message += ": " + std::string(detail);
  add(at, "FieldValueInvalid", std::move(message));
}

void Findings::invalid(const FieldPath& at, const json::Value& value, std::string_view detail) {
  invalid_raw(at, shown(value), detail);
}

void Findings::not_supported(const FieldPath& at, const json::Value& value,
                             std::initializer_list<std::string_view> supported) {
  std::string message = "Unsupported value: " + shown(value) + ": supported values: ";
  for (std::string_view word : supported) {
    if (word != *supported.begin()) message += ", ";
    message += "\"" + std::string(word) + "\"";
  }
  add(at, "FieldValueNotSupported", std::move(message));
}

void Findings::forbidden(const FieldPath& at, std::string_view detail) {
  add(at, "FieldValueForbidden", "Forbidden: " + std::string(detail));
}

void Findings::duplicate(const FieldPath& at, const json::Value& value) {
  add(at, "FieldValueDuplicate", "Duplicate value: " + shown(value));
}

void Findings::not_found(const FieldPath& at, const json::Value& value) {
  add(at, "FieldValueNotFound", "Not found: " + shown(value));
}

void Findings::too_long(const FieldPath& at, std::size_t max) {
  add(at, "FieldValueTooLong", "Too long: may not be more than " + std::to_string(max) + " bytes");
}

void Findings::problem(const FieldPath& at, const json::Value& value, const std::string& detail) {
  if (!detail.empty()) invalid(at, value, detail);
}

void Findings::problem(const FieldPath& at, std::string_view value, const std::string& detail) {
  if (!detail.empty()) invalid(at, json::Value(value), detail);
}

void Findings::one_of(const FieldPath& at, std::string_view value, std::initializer_list<std::string_view> supported) {
  if (value.empty()) return required(at);
  if (std::ranges::find(supported, value) == supported.end()) not_supported(at, json::Value(value), supported);
}

void Findings::not_negative(const FieldPath& at, const json::Value& value) {
  if (value.is_number() && json::as_int(value) < 0) invalid(at, value, kNotNegative);
}

void Findings::port(const FieldPath& at, const json::Value& value) {
  const std::int64_t port = json::as_int(value);
  if (port < 1 || port > 65535) invalid(at, json::Value(port), kPortRange);
}

std::string go_map(const json::Object& map) {
  std::map<std::string, std::string> sorted;
  for (const auto& [key, value] : map) sorted[std::string(key)] = shown(value);
  std::string out = "map[string]string{";
  for (const auto& [key, value] : sorted) {
    if (out.back() != '{') out += ", ";
    out += "\"" + key + "\":" + value;
  }
  return out + "}";
}

std::string go_label_selector(const json::Value& selector) {
  std::string out = "v1.LabelSelector{MatchLabels:";
  const auto& labels = json::map(selector, "matchLabels");
  out += labels.empty() ? "map[string]string(nil)" : go_map(labels);
  out += ", MatchExpressions:[]v1.LabelSelectorRequirement";
  const auto& expressions = json::list(selector, "matchExpressions");
  if (expressions.empty()) return out + "(nil)}";
  std::string items;
  for (const auto& e : expressions) {
    if (!items.empty()) items += ", ";
    items += "v1.LabelSelectorRequirement{Key:" + shown(json::at(e, "key")) +
             ", Operator:" + shown(json::at(e, "operator")) + ", Values:[]string";
    std::string values;
    for (const auto& v : json::list(e, "values")) values += (values.empty() ? "" : ", ") + shown(v);
    items += json::list(e, "values").empty() ? "(nil)}" : "{" + values + "}}";
  }
  return out + "{" + items + "}}";
}

}  // namespace lab::api
