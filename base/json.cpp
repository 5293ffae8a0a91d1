#include "base/json.h"

#include <cmath>
#include <limits>

namespace lab::json {

namespace bj = boost::json;

Result<Value> parse(std::string_view text) {
  bj::parse_options options;
  options.max_depth = kMaxDepth;
  bj::stream_parser parser({}, options);
  boost::system::error_code ec;
  std::size_t used = parser.write_some(text.data(), text.size(), ec);
  if (!ec && used < text.size()) {
    // Only white space may follow the value.
    std::size_t rest = text.find_first_not_of(" \t\r\n", used);
    if (rest != std::string_view::npos) {
      used = rest;
      ec = bj::make_error_code(bj::error::extra_data);
    }
  }
  if (!ec) parser.finish(ec);
  if (ec) {
    std::size_t line = 1, column = 1;
    for (std::size_t i = 0; i < used && i < text.size(); ++i) {
      if (text[i] == '\n') {
        ++line;
        column = 1;
      } else {
        ++column;
      }
    }
    return fail(Code::kBadRequest, "invalid JSON at line " + std::to_string(line) + ", column " +
                                       std::to_string(column) + ": " + ec.message());
  }
  return parser.release();
}

std::string dump(const Value& value) {
  return bj::serialize(value);
}

namespace {

void pretty(const Value& v, std::string& out, int step, int depth) {
  auto newline = [&](int d) {
    out += '\n';
    out.append(static_cast<std::size_t>(d * step), ' ');
  };
  if (v.is_object() && !v.get_object().empty()) {
    out += '{';
    bool first = true;
    for (const auto& [key, field] : v.get_object()) {
      if (!first) out += ',';
      first = false;
      newline(depth + 1);
      out += bj::serialize(bj::string(key)) + ": ";
      pretty(field, out, step, depth + 1);
    }
    newline(depth);
    out += '}';
  } else if (v.is_array() && !v.get_array().empty()) {
    out += '[';
    bool first = true;
    for (const auto& item : v.get_array()) {
      if (!first) out += ',';
      first = false;
      newline(depth + 1);
      pretty(item, out, step, depth + 1);
    }
    newline(depth);
    out += ']';
  } else {
    out += bj::serialize(v);
  }
}

}  // namespace

std::string dump_pretty(const Value& value, int indent) {
  std::string out;
  pretty(value, out, indent, 0);
  return out;
}

const Value& null_value() {
  static const Value v;
  return v;
}
const Object& empty_object() {
  static const Object o;
  return o;
}
const Array& empty_array() {
  static const Array a;
  return a;
}

std::int64_t as_int(const Value& v, std::int64_t fallback) {
  if (v.is_int64()) return v.get_int64();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  if (v.is_uint64() && v.get_uint64() <= static_cast<std::uint64_t>(kMost))
    return static_cast<std::int64_t>(v.get_uint64());
  // 2^63 is the first double above the range; a number outside it counts as absent.
  if (v.is_double() && std::fabs(v.get_double()) < 0x1p63) return static_cast<std::int64_t>(v.get_double());
  return fallback;
}

Value& ensure(Value& v) {
  return v;
}

}  // namespace lab::json
