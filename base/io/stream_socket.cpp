// Streams over TCP and unix sockets.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/io/address.h"
#include "base/io/socket.h"

namespace lab {

Failure stream_cancelled() {
  return fail(Code::kCancelled, "the stream was closed");
}

Failure stream_error(const char* doing, const std::string& name, int err) {
  return Failure(Error{.code = Code::kUnavailable, .message = std::string(doing) + " " + name, .sys_errno = err});
}

void tune_tcp(int fd) {
  int one = 1, idle = 10, interval = 4, probes = 3;  // a dead peer is noticed after 22 s
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

namespace {

constexpr Duration kGlance = std::chrono::milliseconds(400);

class SocketStream final : public Stream {
 public:
  explicit SocketStream(ConnectedSocket socket) : fd_(std::move(socket.descriptor)), name_(std::move(socket.name)) {}
  ~SocketStream() override { close(); }

  Task<Result<std::size_t>> read(std::span<char> into) override {
    // After a short read the kernel has no more: waiting first saves a call. Now and then a busy stream waits as well,
    // so that the loop's others get their turn.
    bool wait = drained_ || ++reads_ % 32 == 0;
    while (true) {
      if (wait && !co_await fd_->readable()) co_return stream_cancelled();
      if (!fd_->open()) co_return stream_cancelled();
      ssize_t n = ::recv(fd_->fd(), into.data(), into.size(), 0);
      if (n >= 0) {
        drained_ = n > 0 && static_cast<std::size_t>(n) < into.size();
        co_return static_cast<std::size_t>(n);
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        wait = true;
      } else if (errno != EINTR) {
        co_return stream_error("read from", name_, errno);
      }
    }
  }

  Task<Result<void>> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      if (!fd_->open()) co_return stream_cancelled();
      ssize_t n = ::send(fd_->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (!co_await fd_->writable()) co_return stream_cancelled();
      } else if (errno != EINTR) {
        co_return stream_error("write to", name_, errno);
      }
    }
    co_return Result<void>();
  }

  Task<Result<void>> shutdown_write() override {
    if (!fd_->open()) co_return stream_cancelled();
    if (::shutdown(fd_->fd(), SHUT_WR) != 0 && errno != ENOTCONN) co_return stream_error("end", name_, errno);
    co_return Result<void>();
  }

  void close() override { fd_->close(); }

  bool quiet() const override {
    char byte;
    return fd_->open() && ::recv(fd_->fd(), &byte, 1, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

 private:
  std::unique_ptr<Descriptor> fd_;
  std::string name_;
  bool drained_ = false;
  unsigned reads_ = 0;
};

// Connects one address. The descriptor closes when the time is up.
Task<Result<std::unique_ptr<Descriptor>>> connect_one(SocketAddress address, std::string name, Duration timeout) {
  int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return fail_errno("make a socket for " + name);
  auto descriptor = std::make_unique<Descriptor>(fd);
  if (::connect(fd, address.get(), address.length) != 0) {
    if (errno != EINPROGRESS) co_return stream_error("connect", name, errno);
    Deadline deadline(timeout, [d = descriptor.get()] { d->close(); });
    if (!co_await descriptor->writable()) {
      co_return Failure(Error{.code = Code::kTimeout,
                              .message = "connect " + name,
                              .hint = "no answer: check that the address is right and that no firewall is between",
                              .sys_errno = ETIMEDOUT});
    }
    int err = 0;
    socklen_t length = sizeof err;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length);
    if (err != 0) co_return stream_error("connect", name, err);
  }
  co_return descriptor;
}

}  // namespace

Task<Result<ConnectedSocket>> connect_tcp(std::string host, int port, Duration timeout) {
  Loop& loop = *Loop::current();
  auto until = loop.now() + timeout;
  LAB_CO_TRY(auto addresses, co_await resolve(host, port, timeout));
  Result<ConnectedSocket> last = fail(Code::kUnavailable, "connect " + host_port(host, port));
  // A name with several addresses is a service on several machines, of which some may be dead: each first gets a moment
  // only, so that callers with little time reach one that lives. Those that said nothing get the time that remains.
  const bool glance = addresses.size() > 1;
  for (int round = glance ? 0 : 1; round < 2 && !addresses.empty(); ++round) {
    std::vector<SocketAddress> silent;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      std::string name = addresses[i].text();
      if (!is_ip_literal(host)) name = host_port(host, port) + " (" + name + ")";
      Duration share = (until - loop.now()) / static_cast<int>(addresses.size() - i);
      if (round == 0) share = std::min<Duration>(share, kGlance);
      auto one = co_await connect_one(addresses[i], name, share);
      if (one) {
        tune_tcp((*one)->fd());
        co_return ConnectedSocket{std::move(*one), std::move(name)};
      }
      if (one.error().code == Code::kTimeout) silent.push_back(addresses[i]);
      last = std::unexpected(std::move(one).error());
    }
    addresses = std::move(silent);
  }
  co_return last;
}

std::unique_ptr<Stream> make_socket_stream(ConnectedSocket socket) {
  return std::make_unique<SocketStream>(std::move(socket));
}

Task<Result<std::unique_ptr<Stream>>> dial_tcp(std::string host, int port, Duration timeout) {
  LAB_CO_TRY(auto socket, co_await connect_tcp(std::move(host), port, timeout));
  co_return make_socket_stream(std::move(socket));
}

Task<Result<std::unique_ptr<Stream>>> dial_unix(std::string path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.size() >= sizeof un.sun_path) {
    co_return fail(Code::kBadRequest, "connect unix:" + path + ": the path is longer than 107 bytes");
  }
  std::memcpy(un.sun_path, path.data(), path.size());
  SocketAddress address;
  std::memcpy(&address.storage, &un, sizeof un);
  address.length = sizeof un;
  std::string name = "unix:" + path;
  LAB_CO_TRY(auto descriptor, co_await connect_one(address, name, std::chrono::seconds(10)));
  co_return make_socket_stream(ConnectedSocket{std::move(descriptor), std::move(name)});
}

Accepted accept_plain(int fd) {
  Accepted out;
  out.peer.address = peer_address(fd).text();
  out.peer.local_address = local_address(fd).text();
  out.stream = make_socket_stream({std::make_unique<Descriptor>(fd), out.peer.address});
  return out;
}

}  // namespace lab
