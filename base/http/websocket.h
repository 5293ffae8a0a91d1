// WebSocket (RFC 6455) over a Stream, both sides. No extensions.
//
//   auto ws = co_await accept_websocket(request, writer, {"v5.channel.k8s.io", "v4.channel.k8s.io"});
//   while (true) {
//     auto message = co_await (*ws)->read();
//     if (!message || !*message) break;                      // an error, or the peer closed
//     co_await (*ws)->send((*message)->binary, (*message)->data);
//   }
//
// One reader; any number of writers. All on the stream's loop. Pings are answered while a read is pending.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/client.h"
#include "base/http/server.h"

namespace lab::http {

class WebSocket {
 public:
  struct Message {
    bool binary = false;
    std::string data;
  };

  static constexpr std::size_t kMaxMessage = 4 * 1024 * 1024;  // larger ones end the connection with 1009

  // Over a stream on which the handshake is done. Clients mask what they send, servers must not.
  static std::unique_ptr<WebSocket> server(std::unique_ptr<Stream> stream, std::string subprotocol = {});
  static std::unique_ptr<WebSocket> client(std::unique_ptr<Stream> stream, std::string subprotocol = {});
  virtual ~WebSocket() = default;  // closes the stream

  virtual const std::string& subprotocol() const = 0;  // "" when none was agreed on
  // The next whole message; nothing once the peer has closed in good order. BadRequest after a protocol violation (the
  // peer has then been told, by a close frame). Fragments are joined.
  virtual Task<Result<std::optional<Message>>> read() = 0;
  virtual Task<Result<void>> send(bool binary, std::string_view data) = 0;
  virtual Task<Result<void>> ping() = 0;
  // Sends the close frame; read() then gives what still comes, and nothing at the end.
  virtual Task<Result<void>> close(int code = 1000, std::string reason = {}) = 0;
  // Ends the connection at once; pending operations fail with kCancelled.
  virtual void abort() = 0;
  virtual int close_code() const = 0;  // of the peer's close frame; 1006 when none came
};

bool is_websocket_request(const Request& request);
std::string websocket_accept(std::string_view key);  // Sec-WebSocket-Accept for a Sec-WebSocket-Key

// Answers the handshake. `subprotocols` in the server's order of preference; empty: none is agreed on. A request that
// is no WebSocket handshake, or that offers only unknown subprotocols, is answered with 400 (426 for another version,
// 403 where none of the subprotocols is known, as Kubernetes does) and gives the error.
Task<Result<std::unique_ptr<WebSocket>>> accept_websocket(const Request& request, ResponseWriter& writer,
                                                          std::vector<std::string> subprotocols = {});

// The client's side: sends the handshake and checks the answer. A refusal gives the server's error.
Task<Result<std::unique_ptr<WebSocket>>> connect_websocket(Client& client, Request request,
                                                           std::vector<std::string> subprotocols = {});

}  // namespace lab::http
