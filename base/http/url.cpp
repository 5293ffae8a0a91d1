#include <charconv>

#include "base/http/client.h"

namespace lab::http {

Result<Url> parse_url(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return fail(Code::kBadRequest, "'" + std::string(text) + "' is not a URL: " + std::string(why),
                "it should look like https://HOST:PORT");
  };
  Url out;
  std::string_view rest = text;
  auto scheme_end = rest.find("://");
  if (scheme_end == rest.npos) return bad("it has no scheme");
  out.scheme = rest.substr(0, scheme_end);
  if (out.scheme != "http" && out.scheme != "https" && out.scheme != "ws" && out.scheme != "wss") {
    return bad("the scheme must be http or https");
  }
  rest.remove_prefix(scheme_end + 3);
  auto path_at = rest.find_first_of("/?");
  out.path = path_at == rest.npos ? std::string_view() : rest.substr(path_at);
  std::string_view authority = rest.substr(0, path_at);
  if (authority.find('@') != authority.npos) return bad("user names are not allowed in it");
  std::string_view port;
  if (authority.starts_with('[')) {
    auto close = authority.find(']');
    if (close == authority.npos) return bad("a ']' is missing");
    out.host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
  } else {
    auto colon = authority.rfind(':');
    out.host = authority.substr(0, colon);
    port = colon == authority.npos ? std::string_view() : authority.substr(colon);
  }
  if (out.host.empty()) return bad("it has no host");
  out.port = out.scheme == "https" || out.scheme == "wss" ? 443 : 80;
  if (!port.empty()) {
    port.remove_prefix(1);
    auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (ec != std::errc() || end != port.data() + port.size() || out.port < 1 || out.port > 65535) {
      return bad("the port must be a number from 1 to 65535");
    }
  }
  return out;
}

}  // namespace lab::http
