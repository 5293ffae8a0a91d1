#include "orchestrator/apiserver/webhooks/condition.h"

#include <algorithm>
#include <charconv>
#include <regex>

#include "orchestrator/apiserver/webhooks/cel.h"

namespace lab::apiserver::webhooks {
namespace {

using cel::Node;
using json::Value;

constexpr int kMostSteps = 1'000'000;

Failure no_overload(const std::string& name) {
  return fail(Code::kInvalid, "no such overload: " + name);
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_double() || b.is_double()) return a.to_number<double>() == b.to_number<double>();
    return json::as_int(a) == json::as_int(b);
  }
  if (a.is_array() && b.is_array()) return std::ranges::equal(a.get_array(), b.get_array(), equal);
  if (a.is_object() && b.is_object()) {
    if (a.get_object().size() != b.get_object().size()) return false;
    return std::ranges::all_of(a.get_object(), [&](const auto& entry) {
      const auto* other = b.get_object().if_contains(entry.key());
      return other && equal(entry.value(), *other);
    });
  }
  return a == b;
}

// The length in code points.
std::int64_t length_of(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

class Evaluation {
 public:
  explicit Evaluation(const Condition::Variables& variables) : variables_(variables) {}

  Result<Value> run(const Node& node) {
    if (++steps_ > kMostSteps) return fail(Code::kInvalid, "operation cancelled: actual cost limit exceeded");
    switch (node.kind) {
      case Node::kLiteral:
        return node.value;
      case Node::kName:
        return name(node);
      case Node::kField:
        return field(node);
      case Node::kIndex:
        return index(node);
      case Node::kCall:
        return node.member ? method(node) : function(node);
      case Node::kList:
        return list(node);
      case Node::kMap:
        return map(node);
      case Node::kUnary:
        return unary(node);
      case Node::kBinary:
        return binary(node);
      case Node::kTernary:
        return ternary(node);
      case Node::kHas:
        return has(node);
      case Node::kMacro:
        return macro(node);
    }
    return no_overload("?");
  }

 private:
  Result<Value> name(const Node& node) {
    for (auto it = bound_.rbegin(); it != bound_.rend(); ++it)
      if (it->first == node.text) return it->second;
    auto it = variables_.find(node.text);
    if (it == variables_.end()) return fail(Code::kInvalid, "no such attribute: " + node.text);
    return *it->second;
  }

  // Fields of the request's objects are looked up in place: they are not copied on the way.
  const Value* place(const Node& node) const {
    if (node.kind == Node::kField) {
      const auto* of = place(*node.children[0]);
      return of && of->is_object() ? of->get_object().if_contains(node.text) : nullptr;
    }
    if (node.kind != Node::kName) return nullptr;
    for (auto it = bound_.rbegin(); it != bound_.rend(); ++it)
      if (it->first == node.text) return &it->second;
    auto it = variables_.find(node.text);
    return it == variables_.end() ? nullptr : it->second;
  }

  Result<Value> field(const Node& node) {
    if (const auto* found = place(node)) return *found;
    LAB_TRY(auto of, run(*node.children[0]));
    if (!of.is_object()) return no_overload(node.text);
    const auto* found = of.get_object().if_contains(node.text);
    if (!found) return fail(Code::kInvalid, "no such key: " + node.text);
    return *found;
  }

  Result<Value> has(const Node& node) {
    if (const auto* found = place(*node.children[0]); found && found->is_object()) {
      const auto* field = found->get_object().if_contains(node.text);
      return Value(field && !field->is_null());
    }
    LAB_TRY(auto of, run(*node.children[0]));
    if (!of.is_object()) return of.is_null() ? Result<Value>(Value(false)) : no_overload("has");
    const auto* found = of.get_object().if_contains(node.text);
    return Value(found && !found->is_null());
  }

  Result<Value> index(const Node& node) {
    LAB_TRY(auto of, run(*node.children[0]));
    LAB_TRY(auto at, run(*node.children[1]));
    if (of.is_array() && at.is_number()) {
      auto i = json::as_int(at);
      if (i < 0 || i >= static_cast<std::int64_t>(of.get_array().size()))
        return fail(Code::kInvalid, "index out of bounds: " + std::to_string(i));
      return of.get_array()[static_cast<std::size_t>(i)];
    }
    if (!of.is_object() || !at.is_string()) return no_overload("_[_]");
    const auto* found = of.get_object().if_contains(json::as_str(at));
    if (!found) return fail(Code::kInvalid, "no such key: " + std::string(json::as_str(at)));
    return *found;
  }

  Result<Value> list(const Node& node) {
    json::Array out;
    for (const auto& child : node.children) {
      LAB_TRY(auto value, run(*child));
      out.push_back(std::move(value));
    }
    return Value(std::move(out));
  }

  Result<Value> map(const Node& node) {
    json::Object out;
    for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
      LAB_TRY(auto key, run(*node.children[i]));
      LAB_TRY(auto value, run(*node.children[i + 1]));
      if (!key.is_string()) return no_overload("map key");
      out[json::as_str(key)] = std::move(value);
    }
    return Value(std::move(out));
  }

  Result<Value> unary(const Node& node) {
    LAB_TRY(auto value, run(*node.children[0]));
    if (node.text == "!" && value.is_bool()) return Value(!value.get_bool());
    if (node.text == "-" && value.is_double()) return Value(-value.get_double());
    if (node.text == "-" && value.is_int64() && value.get_int64() != INT64_MIN) return Value(-value.get_int64());
    return no_overload(node.text + "_");
  }

  // An operand that decides makes up for one that cannot be evaluated.
  Result<Value> logic(const Node& node, bool decides) {
    auto left = run(*node.children[0]);
    if (left && left->is_bool() && left->get_bool() == decides) return left;
    auto right = run(*node.children[1]);
    if (right && right->is_bool() && right->get_bool() == decides) return right;
    if (!left) return left;
    if (!right) return right;
    if (!left->is_bool() || !right->is_bool()) return no_overload("_" + node.text + "_");
    return right;
  }

  Result<Value> binary(const Node& node) {
    const auto& op = node.text;
    if (op == "&&") return logic(node, false);
    if (op == "||") return logic(node, true);
    LAB_TRY(auto a, run(*node.children[0]));
    LAB_TRY(auto b, run(*node.children[1]));
    if (op == "==") return Value(equal(a, b));
    if (op == "!=") return Value(!equal(a, b));
    if (op == "in") {
      if (b.is_array()) return Value(std::ranges::any_of(b.get_array(), [&](const Value& v) { return equal(v, a); }));
      if (b.is_object() && a.is_string()) return Value(b.get_object().contains(json::as_str(a)));
      return no_overload("@in");
    }
    if (op == "<" || op == "<=" || op == ">" || op == ">=") return compare(op, a, b);
    return arithmetic(op, a, b);
  }

  Result<Value> compare(const std::string& op, const Value& a, const Value& b) {
    int order = 0;
    if (a.is_string() && b.is_string()) {
      order = json::as_str(a).compare(json::as_str(b));
    } else if (a.is_number() && b.is_number()) {
      if (a.is_double() || b.is_double()) {
        const double x = a.to_number<double>(), y = b.to_number<double>();
        order = x < y ? -1 : x > y ? 1 : 0;
      } else {
        const auto x = json::as_int(a), y = json::as_int(b);
        order = x < y ? -1 : x > y ? 1 : 0;
      }
    } else if (a.is_bool() && b.is_bool()) {
      order = static_cast<int>(a.get_bool()) - static_cast<int>(b.get_bool());
    } else {
      return no_overload("_" + op + "_");
    }
    return Value(op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0);
  }

  Result<Value> arithmetic(const std::string& op, const Value& a, const Value& b) {
    if (op == "+" && a.is_string() && b.is_string())
      return Value(std::string(json::as_str(a)) + std::string(json::as_str(b)));
    if (op == "+" && a.is_array() && b.is_array()) {
      json::Array out = a.get_array();
      out.insert(out.end(), b.get_array().begin(), b.get_array().end());
      return Value(std::move(out));
    }
    if (!a.is_number() || !b.is_number() || a.is_double() != b.is_double()) return no_overload("_" + op + "_");
    if (a.is_double()) {
      const double x = a.get_double(), y = b.get_double();
      if (op == "%") return no_overload("_%_");
      return Value(op == "+" ? x + y : op == "-" ? x - y : op == "*" ? x * y : x / y);
    }
    const auto x = json::as_int(a), y = json::as_int(b);
    if ((op == "/" || op == "%") && (y == 0 || (x == INT64_MIN && y == -1)))
      return fail(Code::kInvalid, y == 0 ? (op == "/" ? "division by zero" : "modulus by zero") : "integer overflow");
    std::int64_t out = 0;
    bool over = false;
    if (op == "+") over = __builtin_add_overflow(x, y, &out);
    if (op == "-") over = __builtin_sub_overflow(x, y, &out);
    if (op == "*") over = __builtin_mul_overflow(x, y, &out);
    if (op == "/") out = x / y;
    if (op == "%") out = x % y;
    if (over) return fail(Code::kInvalid, "integer overflow");
    return Value(out);
  }

  Result<Value> ternary(const Node& node) {
    LAB_TRY(auto condition, run(*node.children[0]));
    if (!condition.is_bool()) return no_overload("_?_:_");
    return run(*node.children[condition.get_bool() ? 1 : 2]);
  }

  Result<Value> function(const Node& node) {
    LAB_TRY(auto value, run(*node.children[0]));
    const auto& name = node.text;
    if (name == "size") return size_of(value);
    if (name == "dyn") return value;
    if (name == "type")
      return Value(value.is_string()   ? "string"
                   : value.is_bool()   ? "bool"
                   : value.is_double() ? "double"
                   : value.is_number() ? "int"
                   : value.is_array()  ? "list"
                   : value.is_object() ? "map"
                                       : "null_type");
    if (name == "string") {
      if (value.is_string()) return value;
      if (value.is_number() || value.is_bool()) return Value(json::dump(value));
    } else if (name == "bool") {
      if (value.is_bool()) return value;
      if (value.is_string() && (json::as_str(value) == "true" || json::as_str(value) == "false"))
        return Value(json::as_str(value) == "true");
    } else if (value.is_number()) {
      return name == "double"
                 ? Value(value.to_number<double>())
                 : Value(value.is_double() ? static_cast<std::int64_t>(value.get_double()) : json::as_int(value));
    } else if (value.is_string()) {
      const auto text = json::as_str(value);
      const char* end = text.data() + text.size();
      std::int64_t whole = 0;
      double number = 0;
      auto done =
          name == "double" ? std::from_chars(text.data(), end, number) : std::from_chars(text.data(), end, whole);
      if (done.ec == std::errc{} && done.ptr == end) return name == "double" ? Value(number) : Value(whole);
      return fail(Code::kInvalid, "type conversion error: \"" + std::string(text) + "\" is no " + name);
    }
    return no_overload(name);
  }

  Result<Value> size_of(const Value& value) {
    if (value.is_string()) return Value(length_of(json::as_str(value)));
    if (value.is_array()) return Value(static_cast<std::int64_t>(value.get_array().size()));
    if (value.is_object()) return Value(static_cast<std::int64_t>(value.get_object().size()));
    return no_overload("size");
  }

  Result<Value> method(const Node& node) {
    std::vector<Value> a;
    for (const auto& child : node.children) {
      LAB_TRY(auto value, run(*child));
      a.push_back(std::move(value));
    }
    const auto& name = node.text;
    if (name == "size" && a.size() == 1) return size_of(a[0]);
    if (!a[0].is_string()) return no_overload(name);
    const auto text = json::as_str(a[0]);
    if (a.size() == 1) {
      std::string out(text);
      if (name == "lowerAscii")
        std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
      else if (name == "upperAscii")
        std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
      else if (name == "trim") {
        out.erase(0, out.find_first_not_of(" \t\r\n"));
        out.erase(out.find_last_not_of(" \t\r\n") + 1);
      } else
        return no_overload(name);
      return Value(out);
    }
    if (a.size() == 3 && name == "replace" && a[1].is_string() && a[2].is_string()) return replaced(text, a);
    if (a.size() != 2 || !a[1].is_string()) return no_overload(name);
    const auto part = json::as_str(a[1]);
    if (name == "startsWith") return Value(text.starts_with(part));
    if (name == "endsWith") return Value(text.ends_with(part));
    if (name == "contains") return Value(text.find(part) != std::string_view::npos);
    if (name == "matches") return matches(text, part);
    if (name == "split") return split(text, part);
    if (name == "indexOf") {
      auto at = text.find(part);
      return Value(at == std::string_view::npos ? std::int64_t{-1} : length_of(text.substr(0, at)));
    }
    return no_overload(name);
  }

  static Result<Value> replaced(std::string_view text, const std::vector<Value>& a) {
    const auto from = json::as_str(a[1]), to = json::as_str(a[2]);
    if (from.empty()) return no_overload("replace");
    std::string out;
    for (auto at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
      out.append(text.substr(0, at)).append(to);
      text.remove_prefix(at + from.size());
    }
    return Value(out.append(text));
  }

  static Result<Value> split(std::string_view text, std::string_view by) {
    if (by.empty()) return no_overload("split");
    json::Array out;
    for (auto at = text.find(by); at != std::string_view::npos; at = text.find(by)) {
      out.emplace_back(text.substr(0, at));
      text.remove_prefix(at + by.size());
    }
    out.emplace_back(text);
    return Value(std::move(out));
  }

  // Texts are bounded, since std::regex recurses for each character.
  static Result<Value> matches(std::string_view text, std::string_view pattern) {
    constexpr std::size_t kLongest = 4096;
    if (text.size() > kLongest || pattern.size() > kLongest)
      return fail(Code::kInvalid, "matches(): the text is too long");
    try {
      const std::regex compiled(pattern.begin(), pattern.end());
      return Value(std::regex_search(text.begin(), text.end(), compiled));
    } catch (const std::regex_error& e) {
      return fail(Code::kInvalid, "error parsing regexp: " + std::string(e.what()));
    }
  }

  Result<Value> macro(const Node& node) {
    LAB_TRY(auto range, run(*node.children[0]));
    json::Array items;
    if (range.is_array()) {
      items = range.get_array();
    } else if (range.is_object()) {
      for (const auto& entry : range.get_object()) items.emplace_back(entry.key());
    } else {
      return no_overload(node.text);
    }
    json::Array out;
    std::int64_t holding = 0;
    Result<Value> trouble = Value();
    for (auto& item : items) {
      bound_.emplace_back(node.variable, item);
      auto value = run(*node.children[1]);
      if (value && node.children.size() == 3 && value->is_bool() && value->get_bool())
        value = run(*node.children[2]);
      else if (value && node.children.size() == 3) {
        bound_.pop_back();
        continue;
      }
      bound_.pop_back();
      if (node.text == "map") {
        if (!value) return value;
        out.push_back(std::move(*value));
        continue;
      }
      if (value && !value->is_bool()) value = no_overload(node.text);
      if (!value) {
        trouble = value;
        continue;
      }
      holding += value->get_bool();
      if (node.text == "all" && !value->get_bool()) return Value(false);
      if (node.text == "exists" && value->get_bool()) return Value(true);
      if (node.text == "filter" && value->get_bool()) out.push_back(std::move(item));
    }
    if (!trouble) return trouble;
    if (node.text == "map" || node.text == "filter") return Value(std::move(out));
    return Value(node.text == "all" || (node.text == "exists_one" && holding == 1));
  }

  const Condition::Variables& variables_;
  std::vector<std::pair<std::string, Value>> bound_;
  int steps_ = 0;
};

// What a root of this shape gives, as far as can be told without types: "" when it may be a bool.
std::string_view other_type(const Node& node) {
  if (node.kind == Node::kLiteral && !node.value.is_bool()) return "not bool";
  if (node.kind == Node::kList || node.kind == Node::kMap) return "not bool";
  if (node.kind == Node::kBinary && std::string_view("+-*/%").find(node.text) != std::string_view::npos)
    return "not bool";
  return {};
}

}  // namespace

Condition Condition::compile(std::string_view expression) {
  Condition out;
  auto root = cel::parse(expression);
  if (!root) {
    out.trouble_ = "compilation failed: " + root.error().message;
  } else if (!other_type(**root).empty()) {
    out.trouble_ = "must evaluate to bool";
  } else {
    out.root_ = std::move(*root);
  }
  return out;
}

Condition Condition::compile_value(std::string_view expression, const std::vector<std::string>& more) {
  Condition out;
  if (auto root = cel::parse(expression, more))
    out.root_ = std::move(*root);
  else
    out.trouble_ = "compilation failed: " + root.error().message;
  return out;
}

Result<json::Value> Condition::value(const Variables& variables) const {
  if (!root_) return fail(Code::kInvalid, trouble_);
  return Evaluation(variables).run(*root_);
}

Result<bool> Condition::evaluate(const Variables& variables) const {
  if (!root_) return fail(Code::kInvalid, trouble_);
  LAB_TRY(auto value, Evaluation(variables).run(*root_));
  if (!value.is_bool()) return fail(Code::kInvalid, "the condition must evaluate to bool");
  return value.get_bool();
}

}  // namespace lab::apiserver::webhooks
