// HTTP server for h1 (with upgrade) and h2, over TLS, TCP or a unix socket.
//
// N connection threads, each with its own loop: a connection lives on one of them, and so does its handler. The handler
// answers through ResponseWriter exactly once, and must not return before it has answered.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/message.h"
#include "base/io/loop.h"

namespace lab::http {

// Lives as long as the handler runs. All calls on the connection's loop.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  // A whole response; compressed with gzip where the client takes it and the body is large.
  virtual Task<Result<void>> send(Response response) = 0;
  // A response in pieces: begin, any number of writes (each flushed), end.
  // A write waits while the client is slow; it fails when the client has gone.
  virtual Task<Result<void>> begin(int status, Headers headers) = 0;
  virtual Task<Result<void>> write(Buffer piece) = 0;
  virtual Task<Result<void>> end() = 0;
  // h1 only: sends the 101 (or any) head and hands over the raw connection. kBadRequest on h2.
  virtual Task<Result<std::unique_ptr<Stream>>> upgrade(Response head) = 0;
  // Stops when the client closes the connection or resets the stream, or the server shuts down.
  virtual std::stop_token closed() = 0;
};

using Handler = std::function<Task<void>(Request, ResponseWriter&)>;

struct ServerOptions {
  std::string address = "127.0.0.1";  // or "unix:/path"
  int port = 0;                       // 0: any free port, see Server::port()
  int threads = 2;
  std::size_t max_body_bytes = 3 * 1024 * 1024;  // larger: 413, and the connection is closed
  std::function<Result<TlsServerConfig>()> tls;  // empty: plain. Called anew by reload_tls()
  Duration idle_timeout = std::chrono::seconds(300);
};

class Server {
 public:
  // Binds and listens before it returns: a port in use is an error here, naming the port and how to find its owner.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler handler);
  virtual ~Server() = default;  // stops accepting, ends connections, joins its threads
  virtual int port() const = 0;
  virtual Result<void> reload_tls() = 0;  // new connections use the new certificate
  virtual void shutdown(Duration grace) = 0;
};

}  // namespace lab::http
