#include "base/io/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/io/address.h"
#include "base/io/descriptor.h"
#include "base/io/socket.h"

namespace lab {

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}
OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}
int OwnedFd::release() {
  return std::exchange(fd_, -1);
}

namespace {

Result<SocketAddress> unix_address(const std::string& path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    return fail(Code::kBadRequest, "listen unix:" + path + ": the path must have 1 to 107 bytes");
  }
  std::memcpy(un.sun_path, path.data(), path.size());
  SocketAddress out;
  std::memcpy(&out.storage, &un, sizeof un);
  out.length = sizeof un;
  return out;
}

// A socket file that refuses connections was left behind by a process that is gone.
bool nobody_listens(const SocketAddress& address) {
  OwnedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.get() >= 0 && ::connect(probe.get(), address.get(), address.length) != 0 && errno == ECONNREFUSED;
}

Failure bind_error(const std::string& name, int port, int err) {
  std::string hint;
  if (err == EADDRINUSE && port > 0) {
    hint = "another process has the port; find it with: ss -ltnp 'sport = :" + std::to_string(port) + "'";
  } else if (err == EADDRINUSE) {
    hint = "another process listens there; find it with: ss -lxp";
  } else if (err == EADDRNOTAVAIL) {
    hint = "this machine has no such address; list them with: ip address";
  } else if (err == EACCES) {
    hint = "ports below 1024 need root";
  }
  return fail_errno(err, "listen " + name, hint);
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::bind(const std::string& address, int port) {
  std::unique_ptr<Listener> out(new Listener());
  SocketAddress where;
  bool is_unix = address.starts_with("unix:");
  if (is_unix) {
    out->name_ = address;
    out->unlink_ = address.substr(5);
    LAB_TRY(where, unix_address(out->unlink_));
    port = 0;
    if (nobody_listens(where)) ::unlink(out->unlink_.c_str());
  } else {
    out->name_ = host_port(address, port);
    if (port < 0 || port > 65535) return fail(Code::kBadRequest, "listen " + out->name_ + ": no such port");
    auto resolved = resolve_blocking(address, port, true);
    if (!resolved) return fail(Code::kBadRequest, "listen " + out->name_ + ": not an IP address");
    where = resolved->front();
  }
  out->fd_ = OwnedFd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int fd = out->fd_.get(), one = 1, zero = 0;
  if (fd < 0) return fail_errno("make a socket for " + out->name_);
  if (!is_unix) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (where.storage.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  if (::bind(fd, where.get(), where.length) != 0) {
    int err = errno;
    out->unlink_.clear();  // it is not ours
    return bind_error(out->name_, port, err);
  }
  if (is_unix) ::chmod(out->unlink_.c_str(), 0600);
  if (::listen(fd, 1024) != 0) return bind_error(out->name_, port, errno);
  out->port_ = local_address(fd).port();
  return out;
}

Listener::~Listener() {
  if (!unlink_.empty()) ::unlink(unlink_.c_str());
}

Task<Result<OwnedFd>> Listener::accept() {
  if (closed_) co_return stream_cancelled();
  if (!descriptor_) descriptor_ = std::make_unique<Descriptor>(fd_.release());
  while (true) {
    if (!descriptor_->open()) co_return stream_cancelled();
    int fd = ::accept4(descriptor_->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (unlink_.empty()) tune_tcp(fd);
      co_return OwnedFd(fd);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!co_await descriptor_->readable()) co_return stream_cancelled();
    } else if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO) {
      co_return stream_error("accept on", name_, errno);
    }
  }
}

void Listener::close() {
  closed_ = true;
  if (descriptor_) descriptor_->close();
  fd_ = OwnedFd();
}

}  // namespace lab
