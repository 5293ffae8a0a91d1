#include "labs/classroom/server/rewrite.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/io/address.h"
#include "labs/classroom/server/auth.h"

namespace lab::classroom {

namespace {

std::vector<std::string> tokens(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    auto one = list.substr(0, end);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (!one.empty()) out.emplace_back(one);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

// Fields of one connection, not of the message: those of the RFC, and those that Connection names.
bool is_hop_by_hop(const http::Headers& headers, std::string_view name) {
  for (const char* known : {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
                            "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"})
    if (http::same_name(name, known)) return true;
  for (const auto field : headers.all("connection"))
    for (const auto& token : tokens(field))
      if (http::same_name(token, name)) return true;
  return false;
}

bool is_ours(std::string_view name) {
  for (const char* known : {"host", "cookie", "origin", "content-length", "expect", "x-forwarded-for",
                            "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix", "forwarded"})
    if (http::same_name(name, known)) return true;
  return false;
}

}  // namespace

std::optional<PortPath> parse_port_path(std::string_view path) {
  PortPath out;
  std::vector<std::string_view> parts;
  for (int i = 0; i < 3; ++i) {
    if (!path.starts_with('/')) return std::nullopt;
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  const auto [end, error] = std::from_chars(parts[2].data(), parts[2].data() + parts[2].size(), out.port);
  if (error != std::errc() || end != parts[2].data() + parts[2].size() || out.port < 1 || out.port > 65535)
    return std::nullopt;
  out.student = parts[0];
  out.node = parts[1];
  const bool plain =
      std::ranges::all_of(out.student + out.node, [](unsigned char c) { return std::isalnum(c) || c == '-'; });
  if (out.student.empty() || out.node.empty() || !plain) return std::nullopt;
  out.rest = path.empty() ? "/" : std::string(path);
  return out;
}

http::Request inward(const http::Request& request, const PortPath& path, const std::string& node_address, bool tls) {
  http::Request out;
  out.method = request.method;
  const auto query = request.raw_query();
  out.target = path.rest + (query.empty() ? "" : "?" + std::string(query));
  const std::string host = host_port(node_address, path.port);
  out.headers.add("Host", host);
  for (const auto& [name, value] : request.headers.fields())
    if (!is_hop_by_hop(request.headers, name) && !is_ours(name)) out.headers.add(name, value);
  std::string cookies;
  for (const auto field : request.headers.all("cookie"))
    if (auto left = without_session(field); !left.empty()) cookies += (cookies.empty() ? "" : "; ") + left;
  if (!cookies.empty()) out.headers.add("Cookie", cookies);
  // A server that compares it with its own name shall find it so.
  if (same_origin(request.headers, tls)) out.headers.add("Origin", "http://" + host);
  const auto peer = request.peer.address;
  out.headers.add("X-Forwarded-For", peer.substr(0, peer.rfind(':')));
  out.headers.add("X-Forwarded-Host", std::string(request.headers.get("host")));
  out.headers.add("X-Forwarded-Proto", tls ? "https" : "http");
  out.headers.add("X-Forwarded-Prefix", path.prefix());
  const bool upgrade = request.headers.has("upgrade");
  out.headers.add("Connection", upgrade ? "Upgrade" : "close");
  if (upgrade) out.headers.add("Upgrade", std::string(request.headers.get("upgrade")));
  out.body = request.body;
  if (!out.body.empty() || (out.method != "GET" && out.method != "HEAD" && out.method != "OPTIONS"))
    out.headers.add("Content-Length", std::to_string(out.body.size()));
  return out;
}

std::string rewrite_location(const std::string& location, const PortPath& path, const std::string& node_address) {
  if (location.starts_with("//")) return location;
  if (location.starts_with("/")) return path.prefix() + location;
  const std::string own = "http://" + host_port(node_address, path.port);
  if (location == own) return path.prefix() + "/";
  if (location.starts_with(own + "/")) return path.prefix() + location.substr(own.size());
  return location;
}

std::optional<std::string> rewrite_set_cookie(std::string_view field, const PortPath& path) {
  const auto name = field.substr(0, field.find('='));
  if (name == kCookie) return std::nullopt;
  std::string out;
  bool first = true;
  while (!field.empty()) {
    const auto end = std::min(field.find(';'), field.size());
    auto part = field.substr(0, end);
    field.remove_prefix(std::min(end + 1, field.size()));
    while (part.starts_with(' ')) part.remove_prefix(1);
    const auto key = part.substr(0, part.find('='));
    if (first) {
      out = part;
    } else if (http::same_name(key, "path")) {
      const auto value = part.size() > key.size() ? part.substr(key.size() + 1) : std::string_view();
      out += "; Path=" + path.prefix() + (value.starts_with('/') ? std::string(value) : "/");
    } else if (!http::same_name(key, "domain")) {
      out.append("; ").append(part);
    }
    first = false;
  }
  return out;
}

http::Headers outward(const http::Headers& headers, const PortPath& path, const std::string& node_address) {
  http::Headers out;
  for (const auto& [name, value] : headers.fields()) {
    if (is_hop_by_hop(headers, name)) continue;
    if (http::same_name(name, "location")) {
      out.add(name, rewrite_location(value, path, node_address));
    } else if (http::same_name(name, "set-cookie")) {
      if (auto cookie = rewrite_set_cookie(value, path)) out.add(name, *cookie);
    } else {
      out.add(name, value);
    }
  }
  return out;
}

std::optional<PortPath> prefix_of_referer(const http::Headers& headers) {
  auto referer = headers.get("referer");
  const auto host = headers.get("host");
  for (const std::string scheme : {"http://", "https://"})
    if (!host.empty() && referer.starts_with(scheme + std::string(host) + "/")) {
      referer.remove_prefix(scheme.size() + host.size());
      return parse_port_path(referer.substr(0, referer.find_first_of("?#")));
    }
  return std::nullopt;
}

}  // namespace lab::classroom
