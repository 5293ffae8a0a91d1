// Listener: a listening socket. bind() may be called on any thread; accept() on one loop, by one coroutine.
#pragma once

#include <memory>
#include <string>

#include "base/io/stream.h"

namespace lab {

class TlsContext;
class Descriptor;

// A file descriptor that closes itself.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();
  int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

class Listener {
 public:
  // address: an IP address, or "unix:/path" (mode 0600; a socket nobody listens on any more is replaced).
  // port 0: any free one. A port in use says so and how to find its owner.
  static Result<std::unique_ptr<Listener>> bind(const std::string& address, int port);
  ~Listener();  // unlinks the unix socket; on the accepting loop, if accept() was called

  int port() const { return port_; }
  const std::string& name() const { return name_; }
  // The next connection's socket, non-blocking. kCancelled after close(). kUnavailable when descriptors ran out: wait
  // a little and go on.
  Task<Result<OwnedFd>> accept();
  void close();  // on the accepting loop; connections that wait in the queue are refused

 private:
  Listener() = default;
  OwnedFd fd_;
  int port_ = 0;
  std::string name_, unlink_;
  std::unique_ptr<Descriptor> descriptor_;
  bool closed_ = false;
};

// What accept() gave, as a stream of the current loop. The TLS form does the handshake; on the way out of a failed one
// a client that spoke plain HTTP is told so, as Go's server does.
Accepted accept_plain(int fd);
Task<Result<Accepted>> accept_tls(int fd, std::shared_ptr<TlsContext> context, Duration timeout,
                                  std::stop_token stop = {});

}  // namespace lab
