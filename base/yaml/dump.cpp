#include <algorithm>

#include "base/yaml/scalar.h"
#include "base/yaml/yaml.h"

namespace lab::yaml {

namespace {

bool needs_quotes(std::string_view s) {
  if (s.empty() || !resolve_plain(s).is_string() || s == "<<") return true;
  if (std::string_view(" -?:,[]{}#&*!|>'\"%@`=").find(s.front()) != s.npos &&
      !((s.front() == '-' || s.front() == '?' || s.front() == ':') && s.size() > 1 && s[1] != ' '))
    return true;
  if (s.back() == ' ' || s.back() == ':' || s.starts_with("---") || s.starts_with("...")) return true;
  if (s.find(": ") != s.npos || s.find(" #") != s.npos) return true;
  // A plain scalar that starts like a date is a timestamp to YAML 1.1 readers.
  if (s.size() >= 8 && s[0] >= '0' && s[0] <= '9' && s[4] == '-') return true;
  return std::ranges::any_of(s, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool fits_literal(std::string_view s) {
  if (s.find('\n') == s.npos || s.front() == ' ' || s.front() == '\n') return false;
  if (s.find(" \n") != s.npos || s.back() == ' ' || s == "\n") return false;
  return std::ranges::all_of(s, [](unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t'; });
}

void literal(std::string_view s, std::string& out, int depth) {
  const std::size_t newlines = s.size() - std::min(s.size(), s.find_last_not_of('\n') + 1);
  out += newlines == 0 ? "|-\n" : newlines == 1 ? "|\n" : "|+\n";
  if (newlines) s.remove_suffix(1);
  while (true) {
    const std::size_t end = s.find('\n');
    const std::string_view line = s.substr(0, end);
    if (!line.empty()) out.append(static_cast<std::size_t>(depth) * 2, ' ');
    out += line;
    out += '\n';
    if (end == s.npos) return;
    s.remove_prefix(end + 1);
  }
}

void emit(const json::Value& v, std::string& out, int depth);

void emit_scalar(const json::Value& v, std::string& out, int depth) {
  const auto* string = v.if_string();
  if (!string) {
    out += json::dump(v);
  } else if (fits_literal(*string)) {
    return literal(*string, out, depth);
  } else if (needs_quotes(*string)) {
    out += json::dump(v);  // JSON strings are YAML double-quoted scalars
  } else {
    out += std::string_view(*string);
  }
  out += '\n';
}

void emit_map(const json::Object& object, std::string& out, int depth, bool first_inline) {
  for (const auto& [key, value] : object) {
    if (!first_inline) out.append(static_cast<std::size_t>(depth) * 2, ' ');
    first_inline = false;
    if (needs_quotes(key))
      out += json::dump(json::Value(key));
    else
      out += std::string_view(key);
    out += ':';
    const bool block =
        (value.is_object() && !value.get_object().empty()) || (value.is_array() && !value.get_array().empty());
    out += block ? '\n' : ' ';
    // A sequence may stand at its key's own indentation, as kubectl prints it.
    emit(value, out, value.is_array() ? depth : depth + 1);
  }
}

void emit(const json::Value& v, std::string& out, int depth) {
  if (v.is_object() && !v.get_object().empty()) return emit_map(v.get_object(), out, depth, false);
  if (!v.is_array() || v.get_array().empty()) return emit_scalar(v, out, depth);
  for (const auto& item : v.get_array()) {
    out.append(static_cast<std::size_t>(depth) * 2, ' ');
    out += "- ";
    if (item.is_object() && !item.get_object().empty()) {
      emit_map(item.get_object(), out, depth + 1, true);
    } else if (item.is_array() && !item.get_array().empty()) {
      out.back() = '\n';
      emit(item, out, depth + 1);
    } else {
      emit_scalar(item, out, depth + 1);
    }
  }
}

}  // namespace

std::string dump(const json::Value& value) {
  std::string out;
  emit(value, out, 0);
  return out;
}

}  // namespace lab::yaml
