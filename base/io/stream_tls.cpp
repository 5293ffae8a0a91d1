// Streams over TLS: OpenSSL between the caller and a socket. OpenSSL reads from the socket itself and writes into a
// buffer of ours, which goes out in few large sends.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/io/address.h"
#include "base/io/listener.h"
#include "base/io/socket.h"
#include "base/io/tls.h"
#include "base/io/tls_context.h"

namespace lab {

namespace {

constexpr std::size_t kBatch = 128 * 1024;  // encrypted bytes collected before they are sent

class TlsStream final : public Stream {
 public:
  TlsStream(ConnectedSocket socket, std::shared_ptr<TlsContext> context)
      : fd_(std::move(socket.descriptor)), name_(std::move(socket.name)), context_(std::move(context)) {
    ssl_ = SSL_new(context_->native());
    BIO* bio = BIO_new(bio_method());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
  }
  ~TlsStream() override {
    close();
    SSL_free(ssl_);
  }

  // Until done. `host`: whose certificate is expected (clients).
  Task<Result<void>> handshake(std::string host, bool server) {
    LAB_CO_CHECK(tls_prepare(ssl_, *context_, host, server, &verify_failure_));
    while (true) {
      ERR_clear_error();
      int rc = SSL_do_handshake(ssl_);
      int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, rc);
      int err = errno;
      unsigned long code = ERR_peek_error();
      Error failure;
      if (why == SSL_ERROR_SSL) failure = tls_handshake_error(*context_, verify_failure_, name_, host, server);
      // Also when it failed: the alert tells the other end why.
      auto sent = co_await flush();
      if (why == SSL_ERROR_NONE) {
        if (sent) ready_ = true;
        co_return sent;
      }
      if (why == SSL_ERROR_WANT_READ) {
        if (!sent) co_return sent;
        if (!co_await fd_->readable()) co_return stream_cancelled();
        continue;
      }
      spoke_http_ = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
      if (why == SSL_ERROR_SSL) co_return std::unexpected(std::move(failure));
      if (eof_ || why == SSL_ERROR_ZERO_RETURN) {
        co_return fail(Code::kUnavailable, "TLS with " + name_ + ": the other end closed during the handshake");
      }
      co_return stream_error("TLS with", name_, err);
    }
  }

  Task<Result<std::size_t>> read(std::span<char> into) override {
    bool wait = (drained_ && !SSL_has_pending(ssl_)) || ++reads_ % 32 == 0;
    if (wait && SSL_has_pending(ssl_)) wait = false;
    while (true) {
      if (wait && !co_await fd_->readable()) co_return stream_cancelled();
      if (!fd_->open()) co_return stream_cancelled();
      ERR_clear_error();
      std::size_t n = 0;
      int rc = SSL_read_ex(ssl_, into.data(), into.size(), &n);
      int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, rc);
      int err = errno;
      // An answer of TLS itself, such as a key update, goes along with what is next written where there is no room for
      // it now (RFC 8446, 4.6.3). Never wait here for a peer that reads only once it was read from.
      if (!out_.empty() && ready_) send_some();
      if (why == SSL_ERROR_NONE) co_return n;
      if (why == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      if (why != SSL_ERROR_WANT_READ) {
        failed_ = true;
        if (why == SSL_ERROR_SYSCALL && eof_) co_return std::size_t{0};
        if (why == SSL_ERROR_SYSCALL) co_return stream_error("read from", name_, err);
        co_return fail(Code::kUnavailable, "read from " + name_ + ": " + tls_error_text());
      }
      wait = true;
    }
  }

  Task<Result<void>> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      while (!bytes.empty() && out_.size() < kBatch) {
        if (!fd_->open()) co_return stream_cancelled();
        ERR_clear_error();
        std::size_t n = 0;
        if (SSL_write_ex(ssl_, bytes.data(), bytes.size(), &n) != 1) {
          failed_ = true;
          co_return fail(Code::kUnavailable, "write to " + name_ + ": " + tls_error_text());
        }
        bytes.remove_prefix(n);
      }
      if (send_some()) continue;  // all went out at once: the usual case
      LAB_CO_CHECK(co_await flush());
    }
    co_return Result<void>();
  }

  Task<Result<void>> shutdown_write() override {
    if (!fd_->open()) co_return stream_cancelled();
    if (ready_ && !failed_) SSL_shutdown(ssl_);
    LAB_CO_CHECK(co_await flush());
    ::shutdown(fd_->fd(), SHUT_WR);
    co_return Result<void>();
  }

  void close() override {
    if (!fd_->open()) return;
    if (ready_ && !failed_ && out_.empty()) {
      ERR_clear_error();
      SSL_shutdown(ssl_);
      send_some();
    }
    fd_->close();
    drop_output();
  }

  bool quiet() const override {
    char byte;
    return fd_->open() && !failed_ && !SSL_has_pending(ssl_) && !(SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) &&
           ::recv(fd_->fd(), &byte, 1, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  SSL* ssl() { return ssl_; }
  Descriptor& descriptor() { return *fd_; }
  bool spoke_http() const { return spoke_http_; }

 private:
  // True when nothing is left to send. False also on errors: flush() meets them again.
  bool send_some() {
    while (sent_ < out_.size()) {
      if (!fd_->open()) return false;
      ssize_t n = ::send(fd_->fd(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return false;
      sent_ += static_cast<std::size_t>(n);
    }
    drop_output();
    return true;
  }

  // The writer waits in here while the reader may send some as well: each sends what is left.
  Task<Result<void>> flush() {
    while (!send_some()) {
      if (!fd_->open()) co_return stream_cancelled();
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        failed_ = true;
        int err = errno;
        drop_output();  // nothing goes out any more; what has arrived can still be read
        co_return stream_error("write to", name_, err);
      }
      if (!co_await fd_->writable()) co_return stream_cancelled();
    }
    co_return Result<void>();
  }

  void drop_output() {
    sent_ = 0;
    if (out_.capacity() > 32 * 1024) {
      std::string().swap(out_);
    } else {
      out_.clear();
    }
  }

  static TlsStream* self(BIO* bio) { return static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int bio_read(BIO* bio, char* into, int size) {
    auto* s = self(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do {
      n = ::recv(s->fd_->fd(), into, static_cast<std::size_t>(size), 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    if (n == 0) s->eof_ = true;
    s->drained_ = n != 0 && n < size;
    return static_cast<int>(n);
  }

  static int bio_write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    self(bio)->out_.append(data, static_cast<std::size_t>(size));
    return size;
  }

  static long bio_ctrl(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return self(bio)->eof_ ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static BIO_METHOD* bio_method() {
    static BIO_METHOD* method = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lab socket");
      BIO_meth_set_read(m, bio_read);
      BIO_meth_set_write(m, bio_write);
      BIO_meth_set_ctrl(m, bio_ctrl);
      return m;
    }();
    return method;
  }

  std::unique_ptr<Descriptor> fd_;
  std::string name_;
  std::shared_ptr<TlsContext> context_;
  SSL* ssl_ = nullptr;
  TlsVerifyFailure verify_failure_;
  std::string out_;
  std::size_t sent_ = 0;
  bool ready_ = false, failed_ = false, eof_ = false, drained_ = false, spoke_http_ = false;
  unsigned reads_ = 0;
};

}  // namespace

Task<Result<TlsDialed>> dial_tls(std::string host, int port, std::shared_ptr<TlsContext> context, Duration timeout) {
  Loop& loop = *Loop::current();
  auto until = loop.now() + timeout;
  LAB_CO_TRY(auto socket, co_await connect_tcp(host, port, timeout));
  std::string name = socket.name;
  auto stream = std::make_unique<TlsStream>(std::move(socket), context);
  Result<void> done;
  {
    Deadline deadline(until - loop.now(), [s = stream.get()] { s->descriptor().close(); });
    done = co_await stream->handshake(context->server_name().empty() ? host : context->server_name(), false);
    if (!done && deadline.expired()) {
      co_return fail(Code::kTimeout, "TLS with " + name + ": the handshake took too long");
    }
  }
  if (!done) co_return std::unexpected(std::move(done).error());
  TlsDialed out;
  Peer peer;
  tls_fill_peer(stream->ssl(), peer);
  out.alpn = peer.alpn;
  out.peer_certificate_pem = tls_peer_chain_pem(stream->ssl());
  out.stream = std::move(stream);
  co_return out;
}

Task<Result<TlsDialed>> dial_tls(std::string host, int port, TlsClientConfig config, Duration timeout) {
  auto context = TlsContext::client(std::move(config));
  if (!context) co_return std::unexpected(std::move(context).error().with_context("TLS with " + host));
  co_return co_await dial_tls(std::move(host), port, std::move(*context), timeout);
}

Task<Result<Accepted>> accept_tls(int fd, std::shared_ptr<TlsContext> context, Duration timeout, std::stop_token stop) {
  Accepted out;
  out.peer.address = peer_address(fd).text();
  out.peer.local_address = local_address(fd).text();
  auto stream =
      std::make_unique<TlsStream>(ConnectedSocket{std::make_unique<Descriptor>(fd), out.peer.address}, context);
  // Stop may come from any thread, and after the handshake: the loop looks whether there is still something to close.
  auto shaking = std::make_shared<TlsStream*>(stream.get());
  Loop& loop = *Loop::current();
  Result<void> done;
  {
    std::stop_callback on_stop(stop, [&loop, shaking] {
      loop.post([shaking] {
        if (*shaking) (*shaking)->descriptor().close();
      });
    });
    Deadline deadline(timeout, [s = stream.get()] { s->descriptor().close(); });
    done = co_await stream->handshake({}, true);
    if (!done && deadline.expired())
      done = fail(Code::kTimeout, "TLS with " + out.peer.address + ": no handshake in time");
  }
  *shaking = nullptr;
  if (!done) {
    if (stream->spoke_http()) {
      static constexpr std::string_view kText =
          "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
      (void)::send(stream->descriptor().fd(), kText.data(), kText.size(), MSG_NOSIGNAL);
    }
    co_return std::unexpected(std::move(done).error());
  }
  tls_fill_peer(stream->ssl(), out.peer);
  out.stream = std::move(stream);
  co_return out;
}

}  // namespace lab
