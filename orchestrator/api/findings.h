// Collects validation findings, worded as apimachinery's field package words them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/defaults.h"

namespace lab::api {

// A place in an object. Lives on the stack while the place is looked at; the text is made only for a finding.
class FieldPath {
 public:
  explicit FieldPath(std::string_view name) : name_(name) {}
  FieldPath(const FieldPath& parent, std::string_view name) : parent_(&parent), name_(name) {}
  FieldPath(const FieldPath& parent, std::size_t index) : parent_(&parent), index_(static_cast<long>(index)) {}
  // FieldPath{path, "limits"}.key("cpu") is limits[cpu].
  FieldPath key(std::string_view name) const;
  std::string text() const;

 private:
  const FieldPath* parent_ = nullptr;
  std::string_view name_;
  long index_ = -1;
  bool bracket_ = false;
};

class Findings {
 public:
  void required(const FieldPath& at, std::string_view detail = {});
  void invalid(const FieldPath& at, const json::Value& value, std::string_view detail);
  // The value as Go's %#v writes it, ready made.
  void invalid_raw(const FieldPath& at, std::string_view value, std::string_view detail);
  void not_supported(const FieldPath& at, const json::Value& value, std::initializer_list<std::string_view> supported);
  void forbidden(const FieldPath& at, std::string_view detail);
  void duplicate(const FieldPath& at, const json::Value& value);
  void not_found(const FieldPath& at, const json::Value& value);
  void too_long(const FieldPath& at, std::size_t max);

  // Nothing, or an invalid value with that detail: for the functions of names.h.
  void problem(const FieldPath& at, const json::Value& value, const std::string& detail);
  void problem(const FieldPath& at, std::string_view value, const std::string& detail);
  // Required when empty, else one of the supported words.
  void one_of(const FieldPath& at, std::string_view value, std::initializer_list<std::string_view> supported);
  // A number below zero, where it is given.
  void not_negative(const FieldPath& at, const json::Value& value);
  void port(const FieldPath& at, const json::Value& value);

  std::vector<Finding> take() && { return std::move(findings_); }

 private:
  void add(const FieldPath& at, std::string_view reason, std::string message);
  std::vector<Finding> findings_;
};

// map[string]string{"app":"web"}, as Go's %#v writes a map.
std::string go_map(const json::Object& map);
// v1.LabelSelector{MatchLabels:map[string]string{...}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}
std::string go_label_selector(const json::Value& selector);

}  // namespace lab::api
