// Label and field selectors, as in ?labelSelector=, ?fieldSelector= and LabelSelector objects.
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
  bool empty() const { return requirements_.empty() && !nothing_; }   // selects all
  std::string text() const;

 private:
  struct Requirement {
    std::string key;
    enum Op { kIn, kNotIn, kExists, kNotExists, kGt, kLt } op;
    std::vector<std::string> values;
  };
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
  // Fields are looked up by their dotted path in the object; absent is "".
  bool matches(const json::Value& object) const;
  bool empty() const { return requirements_.empty(); }

 private:
  std::vector<Requirement> requirements_;
};

}  // namespace lab::api
