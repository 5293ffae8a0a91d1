// Descriptor: a non-blocking file descriptor whose readiness coroutines of one EventLoop wait for.
//
//   Descriptor d(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
//   while (co_await d.readable()) { n = recv(d.fd(), ...); ... }     // false once closed
//
// Made, used and destroyed on that loop's thread. Wake-ups may be spurious: try, and wait again on EAGAIN. A wait never
// misses readiness that was there before it began. Anything that epoll takes may be wrapped.
#pragma once

#include <coroutine>
#include <functional>
#include <memory>

#include "base/io/loop.h"

namespace lab {

class Descriptor {
 public:
  explicit Descriptor(int fd);  // takes it over, and makes it non-blocking
  ~Descriptor();                // closes; a wait that is pending is a bug
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const;  // -1 once closed
  bool open() const { return fd() >= 0; }
  void close();  // pending and later waits end with false

  struct Wait {
    Descriptor* descriptor;
    bool for_writing;
    bool ready = false;
    bool await_ready() const { return !descriptor->open(); }
    void await_suspend(std::coroutine_handle<> h);
    bool await_resume() const { return ready; }
  };
  Wait readable() { return Wait{this, false}; }
  Wait writable() { return Wait{this, true}; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Calls `expire` on the current loop after d, unless it is destroyed before.
class Deadline {
 public:
  Deadline(Duration d, Loop::Function expire) : loop_(*Loop::current()) {
    id_ = loop_.call_at(loop_.now() + d, [this, f = std::move(expire)]() mutable {
      expired_ = true;
      f();
    });
  }
  ~Deadline() { loop_.cancel_timer(id_); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  bool expired() const { return expired_; }

 private:
  Loop& loop_;
  Loop::TimerId id_ = 0;
  bool expired_ = false;
};

}  // namespace lab
