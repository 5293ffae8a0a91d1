// What a reverse proxy changes in requests and answers, as functions of text (RFC 9110, 7.6).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/http/message.h"

namespace lab::classroom {

// "/S/NODE/PORT/rest" taken apart.
struct PortPath {
  std::string student, node;
  int port = 0;
  std::string rest;  // with its slash, undecoded; "/" where there was none
  std::string prefix() const { return "/" + student + "/" + node + "/" + std::to_string(port); }
};
std::optional<PortPath> parse_port_path(std::string_view path);

// The request as the node gets it: without hop-by-hop fields and our cookie, with X-Forwarded-*.
http::Request inward(const http::Request& request, const PortPath& path, const std::string& node_address, bool tls);
// An answer's fields as the browser gets them: Location and cookie paths below the prefix, no cookie of ours.
http::Headers outward(const http::Headers& headers, const PortPath& path, const std::string& node_address);

// Of pages with absolute links: the prefix of the page that the request came from, when that page is of this host.
std::optional<PortPath> prefix_of_referer(const http::Headers& headers);

std::string rewrite_location(const std::string& location, const PortPath& path, const std::string& node_address);
// Nothing: the cookie is not passed on.
std::optional<std::string> rewrite_set_cookie(std::string_view field, const PortPath& path);

}  // namespace lab::classroom
