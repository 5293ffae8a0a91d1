#include "base/yaml/scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace lab::yaml {

namespace {

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

// Go's strconv.ParseInt(text, 0, 64): a leading 0 is octal, 0x, 0o and 0b as named; underscores separate digits.
bool integer(std::string_view text, json::Value& out) {
  bool negative = false;
  std::string digits;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  for (char c : text)
    if (c != '_') digits += c;
  std::uint64_t value = 0;
  auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (ec != std::errc() || end != digits.data() + digits.size()) return false;
  if (!negative) {
    if (value <= INT64_MAX)
      out = static_cast<std::int64_t>(value);
    else
      out = value;
    return true;
  }
  if (value > static_cast<std::uint64_t>(INT64_MAX) + 1) return false;
  out = static_cast<std::int64_t>(0 - value);
  return true;
}

// [-+]? ( .digits | digits [. digits] ) ( e [-+]? digits )?
bool looks_like_float(std::string_view text) {
  std::size_t i = 0;
  auto digits = [&] {
    const std::size_t from = i;
    while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
    return i > from;
  };
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const bool whole = digits();
  bool fraction = false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    fraction = digits();
  }
  if (!whole && !fraction) return false;
  if (i < text.size() && (text[i] | 0x20) == 'e') {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (!digits()) return false;
  }
  return i == text.size();
}

bool number(std::string_view text, json::Value& out) {
  if (integer(text, out)) return true;
  if (!looks_like_float(text)) return false;
  if (text[0] == '+') text.remove_prefix(1);
  double value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) return false;
  // JSON has one kind of number: 1.0 and 1e3 are whole ones, as Go writes them.
  if (std::trunc(value) == value && std::fabs(value) < 9007199254740992.0)
    out = static_cast<std::int64_t>(value);
  else
    out = value;
  return true;
}

}  // namespace

json::Value resolve_plain(std::string_view text) {
  if (one_of(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})) return true;
  if (one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"})) return false;
  const char first = text[0];
  json::Value value;
  if (((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.') && number(text, value))
    return value;
  return json::Value(text);
}

}  // namespace lab::yaml
