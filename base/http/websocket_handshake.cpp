#include <algorithm>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/http/websocket.h"

namespace lab::http {

namespace {

// The comma-separated tokens of all fields of a name.
std::vector<std::string> tokens(const Headers& headers, std::string_view name) {
  std::vector<std::string> out;
  for (auto value : headers.all(name)) {
    while (!value.empty()) {
      auto end = value.find(',');
      auto one = value.substr(0, end);
      value = end == value.npos ? std::string_view() : value.substr(end + 1);
      while (one.starts_with(' ') || one.starts_with('\t')) one.remove_prefix(1);
      while (one.ends_with(' ') || one.ends_with('\t')) one.remove_suffix(1);
      if (!one.empty()) out.emplace_back(one);
    }
  }
  return out;
}

bool has_token(const Headers& headers, std::string_view name, std::string_view token) {
  auto all = tokens(headers, name);
  return std::any_of(all.begin(), all.end(), [&](const auto& t) { return same_name(t, token); });
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& p : parts) out += (out.empty() ? "" : ", ") + p;
  return out;
}

}  // namespace

bool is_websocket_request(const Request& request) {
  return request.method == "GET" && has_token(request.headers, "upgrade", "websocket") &&
         has_token(request.headers, "connection", "upgrade");
}

std::string websocket_accept(std::string_view key) {
  return crypto::base64_encode(
      crypto::sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));  // RFC 6455, 1.3
}

Task<Result<std::unique_ptr<WebSocket>>> accept_websocket(const Request& request, ResponseWriter& writer,
                                                          std::vector<std::string> subprotocols) {
  Error refusal{.code = Code::kBadRequest};
  int status = 400;
  Headers extra;
  auto key = request.headers.get("sec-websocket-key");
  auto offered = tokens(request.headers, "sec-websocket-protocol");
  std::string chosen;
  for (const auto& ours : subprotocols)
    if (chosen.empty() && std::find(offered.begin(), offered.end(), ours) != offered.end()) chosen = ours;
  if (!is_websocket_request(request) || key.empty()) {
    refusal.message = "not a WebSocket handshake";
  } else if (request.headers.get("sec-websocket-version") != "13") {
    status = 426;
    extra.add("Sec-WebSocket-Version", "13");
    refusal.message = "only WebSocket version 13 is spoken here";
  } else if (!offered.empty() && !subprotocols.empty() && chosen.empty()) {
    status = 403;
    refusal.message =
        "none of the WebSocket subprotocols " + joined(offered) + " is known; use one of " + joined(subprotocols);
  }
  if (!refusal.message.empty()) {
    Response answer = error_response(refusal);
    answer.status = status;
    for (const auto& [name, value] : extra.fields()) answer.headers.add(name, value);
    (void)co_await writer.send(std::move(answer));
    co_return std::unexpected(std::move(refusal));
  }
  Response head{
      .status = 101,
      .headers = {
          {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", websocket_accept(key)}}};
  if (!chosen.empty()) head.headers.add("Sec-WebSocket-Protocol", chosen);
  LAB_CO_TRY(auto stream, co_await writer.upgrade(std::move(head)));
  co_return WebSocket::server(std::move(stream), std::move(chosen));
}

Task<Result<std::unique_ptr<WebSocket>>> connect_websocket(Client& client, Request request,
                                                           std::vector<std::string> subprotocols) {
  std::string key = crypto::base64_encode(crypto::random_bytes(16));
  std::string target = request.target;
  request.headers.set("Upgrade", "websocket");
  request.headers.set("Connection", "Upgrade");
  request.headers.set("Sec-WebSocket-Key", key);
  request.headers.set("Sec-WebSocket-Version", "13");
  if (!subprotocols.empty()) request.headers.set("Sec-WebSocket-Protocol", joined(subprotocols));
  LAB_CO_TRY(auto upgraded, co_await client.upgrade(std::move(request)));
  if (!upgraded.stream) {
    co_return fail(code_of(upgraded.head.status, ""), "WebSocket " + target + ": refused with status " +
                                                          std::to_string(upgraded.head.status) + ": " +
                                                          upgraded.head.text());
  }
  const Headers& headers = upgraded.head.headers;
  std::string chosen(headers.get("sec-websocket-protocol"));
  if (headers.get("sec-websocket-accept") != websocket_accept(key)) {
    co_return fail(Code::kBadRequest, "WebSocket " + target + ": the server's Sec-WebSocket-Accept is wrong");
  }
  if (!chosen.empty() && std::find(subprotocols.begin(), subprotocols.end(), chosen) == subprotocols.end()) {
    co_return fail(Code::kBadRequest,
                   "WebSocket " + target + ": the server chose " + chosen + ", which was not offered");
  }
  co_return WebSocket::client(std::move(upgraded.stream), std::move(chosen));
}

}  // namespace lab::http
