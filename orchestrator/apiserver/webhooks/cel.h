// The tree of a CEL expression, between its parser and its evaluation. Internal to this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::apiserver::webhooks::cel {

struct Node {
  enum Kind {
    kLiteral,  // value
    kName,     // text
    kField,    // children[0].text
    kIndex,    // children[0][children[1]]
    kCall,     // text(children...), or children[0].text(children[1]...) where member
    kList,
    kMap,    // key, value, key, value...
    kUnary,  // text: ! -
    kBinary,
    kTernary,
    kHas,    // has(children[0].text)
    kMacro,  // children[0].text(variable, children[1] [, children[2]])
  } kind = kLiteral;
  std::string text;
  std::string variable;
  bool member = false;
  json::Value value;
  std::vector<std::shared_ptr<const Node>> children;
};
using NodePtr = std::shared_ptr<const Node>;

// Invalid with the place and the reason: `ERROR: <input>:1:5: Syntax error: ...`, undeclared names and unknown
// functions included. `more`: names that are declared beside object, oldObject and request.
Result<NodePtr> parse(std::string_view text, const std::vector<std::string>& more = {});

}  // namespace lab::apiserver::webhooks::cel
