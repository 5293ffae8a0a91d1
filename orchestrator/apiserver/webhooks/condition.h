// Condition: an expression of a webhook's matchConditions, in the Common Expression Language
// (github.com/google/cel-spec).
//
// The part of the language that such conditions are written in: literals, fields, indexes, arithmetic, comparisons,
// `in`,
// && || ! ?:, lists and maps, has(), size(), type conversions, all(), exists(), exists_one(), filter(), map(), and the
// functions of strings. What is missing (times, durations, quantities, `authorizer`) is refused when it is compiled, so
// that no condition is taken which would be understood wrongly. Immutable; any thread; bounded work.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::apiserver::webhooks {

namespace cel {
struct Node;
}

class Condition {
 public:
  using Variables = std::map<std::string, const json::Value*, std::less<>>;

  // Never fails: what cannot be compiled says so in trouble(), in kube-apiserver's form ("compilation failed: ...").
  static Condition compile(std::string_view expression);
  // The same for an expression of any type, which may name `more` beside object, oldObject and request.
  static Condition compile_value(std::string_view expression, const std::vector<std::string>& more);
  const std::string& trouble() const { return trouble_; }
  // Invalid where the expression cannot be evaluated on these objects: `no such key: x`.
  Result<bool> evaluate(const Variables& variables) const;
  Result<json::Value> value(const Variables& variables) const;

 private:
  std::shared_ptr<const cel::Node> root_;
  std::string trouble_;
};

}  // namespace lab::apiserver::webhooks
