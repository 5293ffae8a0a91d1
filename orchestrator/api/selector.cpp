#include "orchestrator/api/selector.h"

#include <algorithm>
#include <charconv>

namespace lab::api {
namespace {

bool space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool special(char c) {
  return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '>' || c == '<';
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return n;
}

std::string_view label(const json::Object& labels, std::string_view key, bool& present) {
  const auto* v = labels.if_contains(key);
  present = v != nullptr;
  return v ? json::as_str(*v) : std::string_view();
}

}  // namespace

// Tokens are keys and values (runs of anything but spaces and operators), "=", "==", "!=", "!", "(", ")", ",", ">",
// "<".
class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) { next(); }

  Result<LabelSelector> run() {
    LabelSelector out;
    if (token_.empty()) return out;
    while (true) {
      LAB_TRY(auto requirement, one());
      LAB_CHECK(LabelSelector::check(requirement));
      out.requirements_.push_back(std::move(requirement));
      if (token_.empty()) break;
      if (token_ != ",") return bad("found '" + std::string(token_) + "', expected: ',' or 'end of string'");
      next();
      if (token_.empty()) return bad("found '', expected: identifier after ','");
    }
    std::ranges::sort(out.requirements_, {}, &LabelSelector::Requirement::key);
    return out;
  }

 private:
  using Requirement = LabelSelector::Requirement;

  Failure bad(const std::string& why) const {
    return fail(Code::kBadRequest,
                "unable to parse requirement: " + why + " in selector \"" + std::string(text_) + "\"");
  }

  void next() {
    while (at_ < text_.size() && space(text_[at_])) ++at_;
    std::size_t from = at_;
    if (at_ == text_.size()) {
      token_ = {};
      return;
    }
    if (special(text_[at_])) {
      ++at_;
      bool pair = at_ < text_.size() && text_[at_] == '=' && (text_[from] == '=' || text_[from] == '!');
      if (pair) ++at_;
    } else {
      while (at_ < text_.size() && !space(text_[at_]) && !special(text_[at_])) ++at_;
    }
    token_ = text_.substr(from, at_ - from);
  }
  bool word() const { return !token_.empty() && !special(token_[0]); }

  Result<Requirement> one() {
    Requirement r{.key = {}, .op = Requirement::kExists, .values = {}};
    if (token_ == "!") {
      r.op = Requirement::kNotExists;
      next();
    }
    if (!word()) return bad("found '" + std::string(token_) + "', expected: !, identifier, or 'end of string'");
    r.key = token_;
    next();
    if (token_.empty() || token_ == "," || r.op == Requirement::kNotExists) return r;
    std::string_view op = token_;
    next();
    if (op == "=" || op == "==" || op == "!=") {
      r.op = op == "!=" ? Requirement::kNotEquals : Requirement::kEquals;
      r.values.push_back(value());
    } else if (op == ">" || op == "<") {
      r.op = op == ">" ? Requirement::kGt : Requirement::kLt;
      r.values.push_back(value());
    } else if (op == "in" || op == "notin") {
      r.op = op == "in" ? Requirement::kIn : Requirement::kNotIn;
      LAB_CHECK(set_of(r));
    } else {
      return bad("found '" + std::string(op) + "', expected: in, notin, =, ==, !=, gt, lt");
    }
    return r;
  }

  // An empty value is written as nothing: "a=" or "a=,b".
  std::string value() {
    if (!word()) return {};
    std::string out(token_);
    next();
    return out;
  }

  Result<void> set_of(Requirement& r) {
    if (token_ != "(") return bad("found '" + std::string(token_) + "', expected: '('");
    next();
    while (true) {
      r.values.push_back(value());
      if (token_ == ")") break;
      if (token_ != ",") return bad("found '" + std::string(token_) + "', expected: ',' or ')'");
      next();
    }
    next();
    std::ranges::sort(r.values);
    r.values.erase(std::unique(r.values.begin(), r.values.end()), r.values.end());
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view token_;
};

Result<void> LabelSelector::check(const Requirement& r) {
  if (auto why = label_key_problem(r.key); !why.empty())
    return fail(Code::kBadRequest, "unable to parse requirement: <nil>: Invalid value: \"" + r.key + "\": " + why);
  for (const auto& v : r.values) {
    if (r.op == Requirement::kGt || r.op == Requirement::kLt) {
      if (!integer(v))
        return fail(Code::kBadRequest, "unable to parse requirement: values[0][" + r.key + "]: Invalid value: \"" + v +
                                           "\": for 'Gt', 'Lt' operators, the value must be an integer");
    } else if (auto why = label_value_problem(v); !why.empty()) {
      return fail(Code::kBadRequest,
                  "unable to parse requirement: values[0][" + r.key + "]: Invalid value: \"" + v + "\": " + why);
    }
  }
  return {};
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  return SelectorParser(text).run();
}

Result<LabelSelector> LabelSelector::from_object(const json::Value& selector) {
  LabelSelector out;
  if (!selector.is_object()) {
    out.nothing_ = true;
    return out;
  }
  for (const auto& [key, value] : json::map(selector, "matchLabels"))
    out.requirements_.push_back({std::string(key), Requirement::kEquals, {std::string(json::as_str(value))}});
  for (const auto& e : json::list(selector, "matchExpressions")) {
    Requirement r{std::string(json::str(e, "key")), Requirement::kIn, {}};
    std::string_view op = json::str(e, "operator");
    for (const auto& v : json::list(e, "values")) r.values.emplace_back(json::as_str(v));
    if (op == "In") {
      r.op = Requirement::kIn;
    } else if (op == "NotIn") {
      r.op = Requirement::kNotIn;
    } else if (op == "Exists") {
      r.op = Requirement::kExists;
    } else if (op == "DoesNotExist") {
      r.op = Requirement::kNotExists;
    } else {
      return fail(Code::kInvalid, "\"" + std::string(op) + "\" is not a valid label selector operator");
    }
    bool set = r.op == Requirement::kIn || r.op == Requirement::kNotIn;
    if (set == r.values.empty())
      return fail(Code::kInvalid,
                  set ? "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                      : "values: Invalid value: for 'exists', '!' operators, values set must be empty");
    std::ranges::sort(r.values);
    out.requirements_.push_back(std::move(r));
  }
  std::ranges::sort(out.requirements_, {}, &Requirement::key);
  return out;
}

LabelSelector LabelSelector::from_map(const json::Object& labels) {
  LabelSelector out;
  out.nothing_ = labels.empty();
  for (const auto& [key, value] : labels)
    out.requirements_.push_back({std::string(key), Requirement::kEquals, {std::string(json::as_str(value))}});
  std::ranges::sort(out.requirements_, {}, &Requirement::key);
  return out;
}

bool LabelSelector::matches(const json::Object& labels) const {
  if (nothing_) return false;
  for (const auto& r : requirements_) {
    bool present = false;
    std::string_view v = label(labels, r.key, present);
    bool among = present && std::ranges::find(r.values, v) != r.values.end();
    bool ok = false;
    switch (r.op) {
      case Requirement::kEquals:
      case Requirement::kIn:
        ok = among;
        break;
      case Requirement::kNotEquals:
      case Requirement::kNotIn:
        ok = !among;
        break;
      case Requirement::kExists:
        ok = present;
        break;
      case Requirement::kNotExists:
        ok = !present;
        break;
      case Requirement::kGt:
      case Requirement::kLt: {
        auto have = integer(v), want = integer(r.values.front());
        ok = present && have && want && (r.op == Requirement::kGt ? *have > *want : *have < *want);
        break;
      }
    }
    if (!ok) return false;
  }
  return true;
}

std::string LabelSelector::text() const {
  std::string out;
  for (const auto& r : requirements_) {
    if (!out.empty()) out += ',';
    auto list = [&] {
      std::string s = "(";
      for (const auto& v : r.values) s += (s.size() > 1 ? "," : "") + v;
      return s + ")";
    };
    switch (r.op) {
      case Requirement::kEquals:
        out += r.key + "=" + r.values.front();
        break;
      case Requirement::kNotEquals:
        out += r.key + "!=" + r.values.front();
        break;
      case Requirement::kIn:
        out += r.key + " in " + list();
        break;
      case Requirement::kNotIn:
        out += r.key + " notin " + list();
        break;
      case Requirement::kExists:
        out += r.key;
        break;
      case Requirement::kNotExists:
        out += "!" + r.key;
        break;
      case Requirement::kGt:
        out += r.key + ">" + r.values.front();
        break;
      case Requirement::kLt:
        out += r.key + "<" + r.values.front();
        break;
    }
  }
  return out;
}

}  // namespace lab::api
