#include "labs/classroom/server/auth.h"

#include <arpa/inet.h>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"

namespace lab::classroom {

namespace {

constexpr std::string_view kPurpose = "lab classroom session";
constexpr int kCookieLife = 30 * 24 * 3600;  // seconds; the class itself ends earlier
constexpr int kPrefixBytes = 8;              // of an IPv6 address: what one host has for itself

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// Calls f(name, pair) for each "NAME=VALUE" of a Cookie field.
template <class F>
void each_cookie(std::string_view field, F f) {
  while (!field.empty()) {
    const auto end = std::min(field.find(';'), field.size());
    const auto pair = trimmed(field.substr(0, end));
    field.remove_prefix(std::min(end + 1, field.size()));
    if (!pair.empty()) f(pair.substr(0, pair.find('=')), pair);
  }
}

}  // namespace

std::string cookie_of(const std::string& secret) {
  return crypto::hex_encode(crypto::hmac_sha256(secret, kPurpose));
}

std::string set_cookie(const std::string& cookie, bool tls) {
  return std::string(kCookie) + "=" + cookie +
         "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(kCookieLife) + (tls ? "; Secure" : "");
}

std::optional<std::string> session_cookie(const http::Headers& headers) {
  std::optional<std::string> found;
  bool several = false;
  for (const auto field : headers.all("cookie"))
    each_cookie(field, [&](std::string_view name, std::string_view pair) {
      if (name != kCookie) return;
      const auto value = pair.substr(std::min(name.size() + 1, pair.size()));
      several = several || (found && *found != value);
      found = value;
    });
  return several ? std::nullopt : found;
}

std::string without_session(std::string_view field) {
  std::string out;
  each_cookie(field, [&](std::string_view name, std::string_view pair) {
    if (name == kCookie) return;
    out.append(out.empty() ? "" : "; ").append(pair);
  });
  return out;
}

bool same_origin(const http::Headers& headers, bool tls) {
  const auto origin = headers.get("origin"), host = headers.get("host");
  if (host.empty()) return false;
  return origin == "https://" + std::string(host) || (!tls && origin == "http://" + std::string(host));
}

std::string client_key(std::string_view peer) {
  const auto colon = peer.rfind(':');
  std::string host(peer.substr(0, colon));
  if (!host.starts_with('[')) return host;
  in6_addr address{};
  host = host.substr(1, host.size() - 2);
  if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return host;
  return crypto::hex_encode(std::string_view(reinterpret_cast<const char*>(&address), kPrefixBytes));
}

void Cookies::set(const std::vector<Class>& classes) {
  by_digest_.clear();
  auto add = [&](const std::string& secret, Visitor visitor) {
    if (secret.empty()) return;
    auto cookie = cookie_of(secret);
    by_digest_[crypto::sha256(cookie)] = {cookie, std::move(visitor)};
  };
  for (const auto& one : classes) {
    add(one.teacher_secret, {one.name, ""});
    for (const auto& student : one.students) add(student.secret, {one.name, student.name});
  }
}

std::optional<Visitor> Cookies::find(const std::string& cookie) const {
  const auto found = by_digest_.find(crypto::sha256(cookie));
  if (found == by_digest_.end() || !crypto::equal_constant_time(found->second.cookie, cookie)) return std::nullopt;
  return found->second.visitor;
}

std::optional<std::string> Cookies::of(const Visitor& visitor) const {
  for (const auto& [digest, entry] : by_digest_)
    if (entry.visitor.class_name == visitor.class_name && entry.visitor.student == visitor.student) return entry.cookie;
  return std::nullopt;
}

}  // namespace lab::classroom
