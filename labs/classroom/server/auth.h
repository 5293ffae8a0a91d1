// Who a request comes from, as far as its headers tell: the session cookie, and the page that sent it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/http/message.h"
#include "labs/classroom/model/class.h"

namespace lab::classroom {

inline constexpr const char* kCookie = "lab_session";

// The cookie that stands for a link's secret: derived, so that the link cannot be read out of a browser's files, and
// the same after a restart of the server.
std::string cookie_of(const std::string& secret);
// The Set-Cookie field that brings it to a browser; with TLS of this server's own it never comes back in the clear.
std::string set_cookie(const std::string& cookie, bool tls);

// The session cookie of a request. Several different ones are none: a page on the second port may have added its own.
std::optional<std::string> session_cookie(const http::Headers& headers);
// A Cookie field without the session; "" when nothing else is in it.
std::string without_session(std::string_view cookie_field);

// Whether the request says that it comes from a page of this very server: RFC 6454's Origin against Host. Cookies do
// not tell ports apart, so that pages of the second port would send ours along. With TLS of this server's own the
// scheme must be its; without, a server of TLS may stand before it.
bool same_origin(const http::Headers& headers, bool tls);

// "192.168.1.7" of "192.168.1.7:51234"; of IPv6 the first 64 bits, which one host may fill as it likes.
std::string client_key(std::string_view peer_address);

// Cookies that are valid now. Looked up by their digest, so that how long it takes says nothing about them.
class Cookies {
 public:
  void set(const std::vector<Class>& classes);
  std::optional<Visitor> find(const std::string& cookie) const;
  std::optional<std::string> of(const Visitor& visitor) const;

 private:
  struct Entry {
    std::string cookie;
    Visitor visitor;
  };
  std::unordered_map<std::string, Entry> by_digest_;
};

}  // namespace lab::classroom
