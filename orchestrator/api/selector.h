// Label and field selectors, as in ?labelSelector=, ?fieldSelector= and LabelSelector objects
// (apimachinery's labels and fields packages). Values; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::api {

class LabelSelector {
 public:
  // "a=b,c!=d,e in (f,g),h notin (i),j,!k"; BadRequest on bad text. "" selects all.
  static Result<LabelSelector> parse(std::string_view text);
  // {matchLabels, matchExpressions}; null selects nothing, {} all. Invalid on unknown operators.
  static Result<LabelSelector> from_object(const json::Value& selector);
  // A plain map of labels (Service.spec.selector); an empty map selects nothing.
  static LabelSelector from_map(const json::Object& labels);
  bool matches(const json::Object& labels) const;
  bool empty() const { return requirements_.empty() && !nothing_; }  // selects all
  std::string text() const;

 private:
  struct Requirement {
    std::string key;
    enum Op { kEquals, kNotEquals, kIn, kNotIn, kExists, kNotExists, kGt, kLt } op;
    std::vector<std::string> values;
  };
  static Result<void> check(const Requirement& requirement);
  friend class SelectorParser;
  std::vector<Requirement> requirements_;
  bool nothing_ = false;
};

class FieldSelector {
 public:
  // "spec.nodeName=n1,status.phase!=Running"
  static Result<FieldSelector> parse(std::string_view text);
  struct Requirement {
    std::string path, value;
    bool equal = true;
  };
  const std::vector<Requirement>& requirements() const { return requirements_; }
  // Fields are looked up by their dotted path in the object, see field_value().
  bool matches(const json::Value& object) const;
  bool empty() const { return requirements_.empty(); }

 private:
  std::vector<Requirement> requirements_;
};

// A field as selectors compare it: text as it is, numbers and booleans in JSON's words. An absent field is "", or its
// zero value for the few that are numbers or booleans (spec.unschedulable). Event's "source" and Job's
// "status.successful" name no field of their own and are resolved as kube-apiserver resolves them.
std::string field_value(const json::Value& object, std::string_view path);

// Whether a text may be a label's key ("app.kubernetes.io/name") or value; the reason why not, or "".
std::string label_key_problem(std::string_view key);
std::string label_value_problem(std::string_view value);

}  // namespace lab::api
