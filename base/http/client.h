// HTTP client: a pool of kept-alive connections to one server; h2 where ALPN offers it and the options allow it.
//
// Used on one loop. Requests run concurrently; each h1 connection carries one at a time.
#pragma once

#include <memory>
#include <string>

#include "base/http/message.h"

namespace lab::http {

// A response whose body arrives over time (watch, logs -f). Used on the loop that asked; destroying it gives it up.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  // The next piece; "" at the end.
  virtual Task<Result<std::string>> read() = 0;
  virtual void close() = 0;
};

struct Upgraded {
  Response head;                   // status 101, or the refusal with its body
  std::unique_ptr<Stream> stream;  // null when refused
};

struct Endpoint {
  std::string host;
  int port = 443;
  std::optional<TlsClientConfig> tls;  // none: plain HTTP
  std::string unix_path;               // instead of host and port
};

struct ClientOptions {
  Duration connect_timeout = std::chrono::seconds(10);
  Duration request_timeout = std::chrono::seconds(60);  // whole request; streams: until the head
  std::size_t max_idle_connections = 8;
};

class Client {
 public:
  static std::unique_ptr<Client> make(Endpoint endpoint, ClientOptions options = {});
  virtual ~Client() = default;
  virtual Task<Result<Response>> send(Request request) = 0;
  virtual Task<Result<std::unique_ptr<ResponseStream>>> open(Request request) = 0;
  virtual Task<Result<Upgraded>> upgrade(Request request) = 0;
};

// "https://host:port/prefix" taken apart; BadRequest when it is not one.
struct Url {
  std::string scheme, host;
  int port = 0;
  std::string path;
};
Result<Url> parse_url(std::string_view text);

}  // namespace lab::http
