// A recursive-descent parser of CEL.
#include <algorithm>
#include <array>
#include <charconv>

#include "orchestrator/apiserver/webhooks/cel.h"

namespace lab::apiserver::webhooks::cel {
namespace {

constexpr int kDeepest = 64;
constexpr std::array<std::string_view, 3> kVariables{"object", "oldObject", "request"};
constexpr std::array<std::string_view, 8> kFunctions{"size", "int", "uint", "double", "string", "bool", "type", "dyn"};
constexpr std::array<std::string_view, 11> kMethods{"startsWith", "endsWith",   "contains",   "matches",
                                                    "size",       "lowerAscii", "upperAscii", "trim",
                                                    "split",      "replace",    "indexOf"};
constexpr std::array<std::string_view, 5> kMacros{"all", "exists", "exists_one", "filter", "map"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

struct Token {
  enum Kind { kEnd, kName, kNumber, kString, kSymbol } kind = kEnd;
  std::string text;
  std::size_t at = 0;
};

class Parser {
 public:
  Parser(std::string_view text, const std::vector<std::string>& more) : text_(text), more_(more) {}

  Result<NodePtr> run() {
    LAB_CHECK(next());
    LAB_TRY(auto root, expression());
    if (token_.kind != Token::kEnd) return unexpected();
    return root;
  }

 private:
  Failure error(std::size_t at, const std::string& why) const {
    std::size_t line = 1, begin = 0;
    for (std::size_t i = 0; i < at && i < text_.size(); ++i)
      if (text_[i] == '\n') ++line, begin = i + 1;
    return fail(Code::kInvalid,
                "ERROR: <input>:" + std::to_string(line) + ":" + std::to_string(at - begin + 1) + ": " + why);
  }
  Failure unexpected() const {
    return error(token_.at, "Syntax error: " + (token_.kind == Token::kEnd ? std::string("unexpected end of the text")
                                                                           : "unexpected '" + token_.text + "'"));
  }

  static bool is_name(char c, bool first) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
  }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  Result<void> next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
    token_ = {Token::kEnd, "", at_};
    if (at_ >= text_.size()) return {};
    const char c = text_[at_];
    const bool raw =
        (c == 'r' || c == 'R') && at_ + 1 < text_.size() && (text_[at_ + 1] == '\'' || text_[at_ + 1] == '"');
    if (c == '\'' || c == '"' || raw) return string_token(raw);
    auto end = at_ + 1;
    if (is_name(c, true)) {
      while (end < text_.size() && is_name(text_[end], false)) ++end;
      token_.kind = Token::kName;
    } else if (is_digit(c)) {
      while (end < text_.size() &&
             (is_name(text_[end], false) || (text_[end] == '.' && end + 1 < text_.size() && is_digit(text_[end + 1]))))
        ++end;
      token_.kind = Token::kNumber;
    } else {
      static constexpr std::array<std::string_view, 6> kPairs{"&&", "||", "==", "!=", "<=", ">="};
      if (among(kPairs, text_.substr(at_, 2)))
        end = at_ + 2;
      else if (std::string_view("()[]{}.,:?+-*/%<>!").find(c) == std::string_view::npos)
        return error(at_, "Syntax error: token recognition error at: '" + std::string(1, c) + "'");
      token_.kind = Token::kSymbol;
    }
    token_.text = text_.substr(at_, end - at_);
    at_ = end;
    return {};
  }

  Result<void> string_token(bool raw) {
    const auto begin = at_;
    if (raw) ++at_;
    const char quote = text_[at_++];
    token_.kind = Token::kString;
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\n') break;
      if (c == '\\' && !raw && at_ < text_.size()) {
        c = text_[at_++];
        if (c == 'n')
          c = '\n';
        else if (c == 't')
          c = '\t';
        else if (c == 'r')
          c = '\r';
        else if (std::string_view("\\'\"`?").find(c) == std::string_view::npos)
          return error(begin, "Syntax error: this escape sequence is not supported here");
      }
      token_.text += c;
    }
    if (at_ >= text_.size() || text_[at_] != quote) return error(begin, "Syntax error: the string does not end");
    ++at_;
    return {};
  }

  bool is(std::string_view symbol) const { return token_.kind == Token::kSymbol && token_.text == symbol; }
  Result<void> expect(std::string_view symbol) {
    if (!is(symbol)) return unexpected();
    return next();
  }

  static NodePtr make(Node node) { return std::make_shared<const Node>(std::move(node)); }

  Result<NodePtr> expression() {
    struct Depth {
      int& n;
      explicit Depth(int& d) : n(++d) {}
      ~Depth() { --n; }
    } depth(depth_);
    if (depth_ > kDeepest) return error(token_.at, "the expression is nested too deeply");
    LAB_TRY(auto condition, binary(0));
    if (!is("?")) return condition;
    LAB_CHECK(next());
    LAB_TRY(auto yes, binary(0));
    LAB_CHECK(expect(":"));
    LAB_TRY(auto no, expression());
    return make({.kind = Node::kTernary, .children = {condition, yes, no}});
  }

  int precedence() const {
    if (token_.kind == Token::kName) return token_.text == "in" ? 3 : 0;
    if (token_.kind != Token::kSymbol) return 0;
    const std::string_view t = token_.text;
    if (t == "||") return 1;
    if (t == "&&") return 2;
    if (t == "==" || t == "!=" || t == "<" || t == "<=" || t == ">" || t == ">=") return 3;
    if (t == "+" || t == "-") return 4;
    return t == "*" || t == "/" || t == "%" ? 5 : 0;
  }

  // Operators of a higher precedence than `above`, to the left.
  Result<NodePtr> binary(int above) {
    LAB_TRY(auto left, unary());
    for (int p = precedence(); p > above; p = precedence()) {
      auto op = token_.text;
      LAB_CHECK(next());
      LAB_TRY(auto right, binary(p));
      left = make({.kind = Node::kBinary, .text = std::move(op), .children = {left, right}});
    }
    return left;
  }

  Result<NodePtr> unary() {
    if (!is("!") && !is("-")) return member();
    auto op = token_.text;
    if (++depth_ > kDeepest) return error(token_.at, "the expression is nested too deeply");
    LAB_CHECK(next());
    LAB_TRY(auto inner, unary());
    --depth_;
    return make({.kind = Node::kUnary, .text = std::move(op), .children = {inner}});
  }

  Result<NodePtr> member() {
    LAB_TRY(auto node, primary());
    while (true) {
      if (is("[")) {
        LAB_CHECK(next());
        LAB_TRY(auto index, expression());
        LAB_CHECK(expect("]"));
        node = make({.kind = Node::kIndex, .children = {node, index}});
      } else if (is(".")) {
        LAB_CHECK(next());
        if (token_.kind != Token::kName) return unexpected();
        auto name = token_;
        LAB_CHECK(next());
        if (is("(")) {
          LAB_TRY(node, method(node, name));
        } else {
          node = make({.kind = Node::kField, .text = name.text, .children = {node}});
        }
      } else {
        return node;
      }
    }
  }

  Result<NodePtr> method(NodePtr of, const Token& name) {
    if (among(kMacros, name.text)) return macro(std::move(of), name);
    if (!among(kMethods, name.text))
      return error(name.at, "undeclared reference to '" + name.text + "' (in container '')");
    Node call{.kind = Node::kCall, .text = name.text, .member = true, .children = {std::move(of)}};
    LAB_CHECK(next());
    LAB_CHECK(items(")", call.children));
    return make(std::move(call));
  }

  Result<NodePtr> macro(NodePtr of, const Token& name) {
    LAB_CHECK(next());
    if (token_.kind != Token::kName) return error(token_.at, "argument must be a simple name");
    Node out{.kind = Node::kMacro, .text = name.text, .variable = token_.text, .children = {std::move(of)}};
    LAB_CHECK(next());
    LAB_CHECK(expect(","));
    bound_.push_back(out.variable);
    LAB_CHECK(items(")", out.children));
    bound_.pop_back();
    const auto arguments = out.children.size() - 1;
    if (arguments != 1 && !(arguments == 2 && name.text == "map"))
      return error(name.at, "found no matching overload for '" + name.text + "'");
    return make(std::move(out));
  }

  // Up to and with the closing symbol, which has not been reached yet.
  Result<void> items(std::string_view end, std::vector<NodePtr>& out) {
    while (!is(end)) {
      LAB_TRY(auto one, expression());
      out.push_back(std::move(one));
      if (!is(",")) break;
      LAB_CHECK(next());
    }
    return expect(end);
  }

  Result<NodePtr> primary() {
    const auto token = token_;
    if (token.kind == Token::kString || token.kind == Token::kNumber) {
      LAB_CHECK(next());
      if (token.kind == Token::kNumber) return number(token);
      return make({.value = json::Value(token.text)});
    }
    if (token.kind == Token::kName) return name(token);
    if (is("(")) {
      LAB_CHECK(next());
      LAB_TRY(auto inner, expression());
      LAB_CHECK(expect(")"));
      return inner;
    }
    if (is("[")) {
      Node list{.kind = Node::kList};
      LAB_CHECK(next());
      LAB_CHECK(items("]", list.children));
      return make(std::move(list));
    }
    if (is("{")) return map();
    return unexpected();
  }

  Result<NodePtr> map() {
    Node out{.kind = Node::kMap};
    LAB_CHECK(next());
    while (!is("}")) {
      LAB_TRY(auto key, expression());
      LAB_CHECK(expect(":"));
      LAB_TRY(auto value, expression());
      out.children.push_back(std::move(key));
      out.children.push_back(std::move(value));
      if (!is(",")) break;
      LAB_CHECK(next());
    }
    LAB_CHECK(expect("}"));
    return make(std::move(out));
  }

  Result<NodePtr> number(const Token& token) {
    std::string_view text = token.text;
    const char* end = text.data() + text.size();
    if (text.find('.') != std::string_view::npos ||
        (text.find_first_of("eE") != std::string_view::npos && !text.starts_with("0x"))) {
      double value = 0;
      auto [stop, trouble] = std::from_chars(text.data(), end, value);
      if (trouble == std::errc{} && stop == end) return make({.value = json::Value(value)});
    } else {
      std::int64_t value = 0;
      const bool hex = text.starts_with("0x");
      if (text.ends_with('u') || text.ends_with('U')) --end;
      auto [stop, trouble] = std::from_chars(text.data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
      if (trouble == std::errc{} && stop == end) return make({.value = json::Value(value)});
    }
    return error(token.at, "Syntax error: invalid number '" + token.text + "'");
  }

  Result<NodePtr> name(const Token& token) {
    LAB_CHECK(next());
    const auto& text = token.text;
    if (text == "true" || text == "false") return make({.value = json::Value(text == "true")});
    if (text == "null") return make({.value = json::Value(nullptr)});
    if (!is("(")) {
      if (!among(kVariables, text) && std::ranges::find(bound_, text) == bound_.end() &&
          std::ranges::find(more_, text) == more_.end())
        return error(token.at, "undeclared reference to '" + text + "' (in container '')");
      return make({.kind = Node::kName, .text = text});
    }
    LAB_CHECK(next());
    if (text == "has") {
      LAB_TRY(auto field, expression());
      if (field->kind != Node::kField) return error(token.at, "invalid argument to has() macro");
      LAB_CHECK(expect(")"));
      return make({.kind = Node::kHas, .text = field->text, .children = field->children});
    }
    if (!among(kFunctions, text)) return error(token.at, "undeclared reference to '" + text + "' (in container '')");
    Node call{.kind = Node::kCall, .text = text};
    LAB_CHECK(items(")", call.children));
    if (call.children.size() != 1) return error(token.at, "found no matching overload for '" + text + "'");
    return make(std::move(call));
  }

  std::string_view text_;
  const std::vector<std::string>& more_;
  std::size_t at_ = 0;
  Token token_;
  int depth_ = 0;
  std::vector<std::string> bound_;
};

}  // namespace

Result<NodePtr> parse(std::string_view text, const std::vector<std::string>& more) {
  return Parser(text, more).run();
}

}  // namespace lab::apiserver::webhooks::cel
