#include "join/ssh/target.h"

#include <algorithm>

namespace lab::join::ssh {

namespace {

Failure wrong(std::string_view text, const std::string& why) {
  return fail(Code::kInvalid, "\"" + std::string(text) + "\" names no host: " + why,
              "write [USER@]HOST[:PORT], as in root@10.0.0.3 or student@[fd00::3]:2222");
}

Result<int> parse_port(std::string_view text, std::string_view whole) {
  int port = 0;
  for (char c : text) {
    if (c < '0' || c > '9' || port > 65535) return wrong(whole, "\"" + std::string(text) + "\" is no port");
    port = port * 10 + (c - '0');
  }
  if (port < 1 || port > 65535) return wrong(whole, "\"" + std::string(text) + "\" is no port");
  return port;
}

// What would reach a shell, an option parser or a file as something else than a name is refused here.
bool is_name(std::string_view text) {
  return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%' || c >= 0x80;
  });
}

}  // namespace

std::string Target::text() const {
  std::string out = user.empty() ? "" : user + "@";
  const bool v6 = host.find(':') != std::string::npos;
  out += v6 && port ? "[" + host + "]" : host;
  return port ? out + ":" + std::to_string(port) : out;
}

Result<Target> parse_target(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("ssh://")) rest.remove_prefix(6);
  Target out;
  if (auto at = rest.rfind('@'); at != std::string_view::npos) {
    out.user = rest.substr(0, at);
    if (!is_name(out.user) || out.user.find(':') != std::string::npos)
      return wrong(text, "its user is missing or malformed");
    rest.remove_prefix(at + 1);
  }
  if (rest.starts_with('[')) {
    auto close = rest.find(']');
    if (close == std::string_view::npos) return wrong(text, "the bracket is not closed");
    out.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (!rest.empty() && !rest.starts_with(':')) return wrong(text, "only :PORT may follow the bracket");
  } else {
    // Two colons and no bracket: an IPv6 address alone.
    auto colon = rest.find(':');
    if (colon != std::string_view::npos && rest.find(':', colon + 1) != std::string_view::npos)
      colon = std::string_view::npos;
    out.host = rest.substr(0, colon);
    rest.remove_prefix(std::min(out.host.size(), rest.size()));
  }
  if (!is_name(out.host)) return wrong(text, out.host.empty() ? "its address is missing" : "its address is malformed");
  if (rest.starts_with(':')) {
    LAB_TRY(out.port, parse_port(rest.substr(1), text));
  }
  return out;
}

Result<std::vector<Target>> parse_targets(const std::vector<std::string>& texts) {
  std::vector<Target> out;
  for (const auto& text : texts) {
    LAB_TRY(auto target, parse_target(text));
    for (const auto& other : out)
      if (other.host == target.host && (other.port ? other.port : 22) == (target.port ? target.port : 22))
        return fail(Code::kInvalid, "the host " + target.text() + " is named twice", "name each host once");
    out.push_back(std::move(target));
  }
  if (out.empty()) return fail(Code::kInvalid, "no host is named", "as in: lab join --ssh root@10.0.0.3");
  return out;
}

}  // namespace lab::join::ssh
