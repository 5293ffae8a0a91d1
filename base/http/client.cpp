#include "base/http/client.h"

#include <deque>

#include "base/http/client_connection.h"
#include "base/http/gzip.h"
#include "base/io/address.h"
#include "base/io/descriptor.h"
#include "base/io/tls.h"

namespace lab::http {

namespace {

// What a client and the requests that outlive it share.
struct Pool {
  Endpoint endpoint;
  ClientOptions options;
  std::string base, host_header;  // for errors: "https://10.0.0.3:6443"
  std::shared_ptr<TlsContext> tls;
  std::optional<Error> tls_error;
  std::deque<std::unique_ptr<ClientConnection>> idle;  // the one used last is at the back
  bool closed = false;

  void give_back(std::unique_ptr<ClientConnection> c) {
    if (closed || !c->reusable()) return;
    idle.push_back(std::move(c));
    if (idle.size() > options.max_idle_connections) idle.pop_front();
  }

  std::unique_ptr<ClientConnection> take_idle() {
    while (!idle.empty()) {
      auto c = std::move(idle.back());
      idle.pop_back();
      if (c->stream().quiet()) return c;
    }
    return nullptr;
  }
};

using SharedPool = std::shared_ptr<Pool>;

Task<Result<std::unique_ptr<ClientConnection>>> dial(SharedPool pool) {
  const auto& e = pool->endpoint;
  auto timeout = pool->options.connect_timeout;
  std::unique_ptr<Stream> stream;
  if (pool->tls_error) co_return std::unexpected(*pool->tls_error);
  if (!e.unix_path.empty()) {
    LAB_CO_TRY(stream, co_await dial_unix(e.unix_path));
  } else if (pool->tls) {
    LAB_CO_TRY(auto dialed, co_await dial_tls(e.host, e.port, pool->tls, timeout));
    stream = std::move(dialed.stream);
  } else {
    LAB_CO_TRY(stream, co_await dial_tcp(e.host, e.port, timeout));
  }
  co_return std::make_unique<ClientConnection>(std::move(stream));
}

// Requests that may be sent again although the server may have seen them (RFC 9110, 9.2.1).
bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

std::string encode_request(const Pool& pool, const Request& request, bool takes_gzip) {
  std::string out;
  out.reserve(512 + request.body.size());
  out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  auto field = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(": ");
    for (char c : value) out += c == '\r' || c == '\n' ? ' ' : c;
    out.append("\r\n");
  };
  if (!request.headers.has("host")) field("Host", pool.host_header);
  for (const auto& [name, value] : request.headers.fields()) {
    if (!same_name(name, "content-length") && !same_name(name, "transfer-encoding")) field(name, value);
  }
  bool takes_body = request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS";
  if (takes_body || !request.body.empty()) field("Content-Length", std::to_string(request.body.size()));
  if (takes_gzip && !request.headers.has("accept-encoding")) field("Accept-Encoding", "gzip");
  out.append("\r\n").append(request.body);
  return out;
}

// Sends a request and reads the head of its answer: on a kept connection, and once more on a fresh one where that has
// gone stale. `current` is where a deadline finds the connection to close.
Task<Result<std::unique_ptr<ClientConnection>>> exchange(SharedPool pool, Request request, bool takes_gzip,
                                                         std::shared_ptr<ClientConnection*> current) {
  std::string bytes = encode_request(*pool, request, takes_gzip);
  while (true) {
    auto connection = pool->take_idle();
    bool reused = connection != nullptr;
    if (!reused) {
      LAB_CO_TRY(connection, co_await dial(pool));
    }
    *current = connection.get();
    connection->start(request.method == "HEAD");
    auto sent = co_await connection->stream().write(bytes);
    // Also after a failed write: a server that refuses a large body answers, and closes.
    auto head = co_await connection->read_head();
    *current = nullptr;
    if (head) co_return connection;
    bool nothing_came = !connection->saw_bytes();
    if (reused && nothing_came && (!sent || is_safe(request.method)) && head.error().code != Code::kCancelled) continue;
    co_return std::unexpected(sent ? std::move(head).error() : std::move(sent).error());
  }
}

class OpenResponse final : public ResponseStream {
 public:
  OpenResponse(SharedPool pool, std::unique_ptr<ClientConnection> c, std::string what)
      : pool_(std::move(pool)), connection_(std::move(c)), what_(std::move(what)) {}
  ~OpenResponse() override {
    if (done_) pool_->give_back(std::move(connection_));
  }
  int status() const override { return connection_->message().status; }
  const Headers& headers() const override { return connection_->message().headers; }
  Task<Result<std::string>> read() override {
    if (done_) co_return std::string();
    auto piece = co_await connection_->read_body();
    if (!piece) co_return std::unexpected(std::move(piece).error().with_context(what_));
    if (piece->empty()) done_ = true;
    co_return std::move(*piece);
  }
  void close() override { connection_->stream().close(); }

 private:
  SharedPool pool_;
  std::unique_ptr<ClientConnection> connection_;
  std::string what_;
  bool done_ = false;
};

class ClientImpl final : public Client {
 public:
  ClientImpl(Endpoint endpoint, ClientOptions options) : pool_(std::make_shared<Pool>()) {
    bool https = endpoint.tls.has_value();
    pool_->options = options;
    if (!endpoint.unix_path.empty()) {
      pool_->host_header = "localhost";
      pool_->base = "unix:" + endpoint.unix_path;
    } else {
      pool_->host_header = host_port(endpoint.host, endpoint.port);
      pool_->base = (https ? "https://" : "http://") + pool_->host_header;
    }
    if (https) {
      endpoint.tls->alpn = {"http/1.1"};
      auto context = TlsContext::client(*endpoint.tls);
      if (context) {
        pool_->tls = std::move(*context);
      } else {
        pool_->tls_error = std::move(context).error();
      }
    }
    pool_->endpoint = std::move(endpoint);
  }
  ~ClientImpl() override {
    pool_->closed = true;
    pool_->idle.clear();
  }

  Task<Result<Response>> send(Request request) override { return send_on(pool_, std::move(request)); }
  Task<Result<std::unique_ptr<ResponseStream>>> open(Request request) override {
    return open_on(pool_, std::move(request));
  }
  Task<Result<Upgraded>> upgrade(Request request) override { return upgrade_on(pool_, std::move(request)); }

 private:
  static std::string name(const Pool& pool, const Request& r) { return r.method + " " + pool.base + r.target; }

  // The error as the caller should see it: a connection that the deadline closed has timed out.
  static Error explain(Error error, const Deadline& deadline, const Pool& pool, const std::string& what) {
    if (!deadline.expired()) return std::move(error).with_context(what);
    auto seconds = std::chrono::duration<double>(pool.options.request_timeout).count();
    char text[64];
    std::snprintf(text, sizeof text, "no answer within %g s", seconds);
    return Error{.code = Code::kTimeout, .message = what + ": " + text};
  }

  static Task<Result<Response>> send_on(SharedPool pool, Request request) {
    std::string what = name(*pool, request);
    auto current = std::make_shared<ClientConnection*>(nullptr);
    Deadline deadline(pool->options.request_timeout, [current] {
      if (*current) (*current)->stream().close();
    });
    auto connection = co_await exchange(pool, std::move(request), true, current);
    if (!connection) co_return std::unexpected(explain(std::move(connection).error(), deadline, *pool, what));
    *current = connection->get();
    auto whole = co_await (*connection)->read_all();
    *current = nullptr;
    if (!whole) co_return std::unexpected(explain(std::move(whole).error(), deadline, *pool, what));
    Response out;
    auto& message = (*connection)->message();
    out.status = message.status;
    out.headers = std::move(message.headers);
    pool->give_back(std::move(*connection));
    if (same_name(out.headers.get("content-encoding"), "gzip") && !whole->empty()) {
      auto unpacked = gunzip(*whole, kLongestAnswer);
      if (!unpacked) co_return std::unexpected(std::move(unpacked).error().with_context(what));
      *whole = std::move(*unpacked);
      out.headers.remove("content-encoding");
      out.headers.remove("content-length");
    }
    if (!whole->empty()) out.body.push_back(buffer(std::move(*whole)));
    co_return out;
  }

  static Task<Result<std::unique_ptr<ResponseStream>>> open_on(SharedPool pool, Request request) {
    std::string what = name(*pool, request);
    auto current = std::make_shared<ClientConnection*>(nullptr);
    Deadline deadline(pool->options.request_timeout, [current] {
      if (*current) (*current)->stream().close();
    });
    auto connection = co_await exchange(pool, std::move(request), false, current);
    if (!connection) co_return std::unexpected(explain(std::move(connection).error(), deadline, *pool, what));
    co_return std::make_unique<OpenResponse>(pool, std::move(*connection), what);
  }

  static Task<Result<Upgraded>> upgrade_on(SharedPool pool, Request request) {
    std::string what = name(*pool, request);
    if (!request.headers.has("connection")) request.headers.add("Connection", "Upgrade");
    auto current = std::make_shared<ClientConnection*>(nullptr);
    Deadline deadline(pool->options.request_timeout, [current] {
      if (*current) (*current)->stream().close();
    });
    auto connection = co_await exchange(pool, std::move(request), false, current);
    if (!connection) co_return std::unexpected(explain(std::move(connection).error(), deadline, *pool, what));
    Upgraded out;
    auto& c = **connection;
    out.head.status = c.message().status;
    if (out.head.status == 101) {
      out.head.headers = std::move(c.message().headers);
      out.stream = c.release();
      co_return out;
    }
    *current = connection->get();
    auto body = co_await c.read_all();
    *current = nullptr;
    if (!body) co_return std::unexpected(explain(std::move(body).error(), deadline, *pool, what));
    out.head.headers = std::move(c.message().headers);
    if (!body->empty()) out.head.body.push_back(buffer(std::move(*body)));
    pool->give_back(std::move(*connection));
    co_return out;
  }

  SharedPool pool_;
};

}  // namespace

std::unique_ptr<Client> Client::make(Endpoint endpoint, ClientOptions options) {
  return std::make_unique<ClientImpl>(std::move(endpoint), options);
}

}  // namespace lab::http
