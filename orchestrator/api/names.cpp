#include "orchestrator/api/names.h"

#include <algorithm>

namespace lab::api {

namespace {

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool alnum(char c) {
  return lower(c) || digit(c);
}

bool label_shape(std::string_view s) {
  return !s.empty() && alnum(s.front()) && alnum(s.back()) &&
         std::ranges::all_of(s, [](char c) { return alnum(c) || c == '-'; });
}

bool subdomain_shape(std::string_view s) {
  while (true) {
    const std::size_t dot = s.find('.');
    if (!label_shape(s.substr(0, dot))) return false;
    if (dot == s.npos) return true;
    s.remove_prefix(dot + 1);
  }
}

std::string too_long(std::size_t max) {
  return "must be no more than " + std::to_string(max) + " bytes";
}

}  // namespace

std::string dns1123_label_problem(std::string_view name) {
  if (!label_shape(name))
    return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
           "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
           "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
  return name.size() > 63 ? too_long(63) : std::string();
}

std::string dns1123_subdomain_problem(std::string_view name) {
  if (!subdomain_shape(name))
    return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
           "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
           "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
  return name.size() > 253 ? too_long(253) : std::string();
}

std::string dns1035_label_problem(std::string_view name) {
  if (!label_shape(name) || !lower(name.front()))
    return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
           "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
           "validation "
           "is '[a-z]([-a-z0-9]*[a-z0-9])?')";
  return name.size() > 63 ? too_long(63) : std::string();
}

std::string path_segment_problem(std::string_view name) {
  if (name == "." || name == "..") return "may not be '" + std::string(name) + "'";
  for (char c : {'/', '%'})
    if (name.find(c) != name.npos) return std::string("may not contain '") + c + "'";
  return {};
}

std::string config_key_problem(std::string_view key) {
  if (key.size() > 253) return too_long(253);
  const bool shape = !key.empty() && std::ranges::all_of(key, [](char c) {
    return alnum(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
  });
  if (!shape)
    return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
           "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
  if (key == ".") return "must not be '.'";
  if (key == "..") return "must not be '..'";
  return key.starts_with("..") ? "must not start with '..'" : std::string();
}

std::string port_name_problem(std::string_view name) {
  if (name.size() > 15) return "must be no more than 15 characters";
  if (!std::ranges::all_of(name, [](char c) { return alnum(c) || c == '-'; }))
    return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
  if (std::ranges::none_of(name, lower)) return "must contain at least one letter (a-z)";
  if (name.find("--") != name.npos) return "must not contain consecutive hyphens";
  if (name.front() == '-' || name.back() == '-') return "must not begin or end with a hyphen";
  return {};
}

std::string env_name_problem(std::string_view name) {
  if (std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~' && c != '='; })) return {};
  return "a valid environment variable name must consist only of printable ASCII characters other than '='";
}

}  // namespace lab::api
