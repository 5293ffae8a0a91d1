// Event and Mailbox: signalling between coroutines of one loop.
//
// All calls are made on the loop's thread; cross-thread signals go through Loop::post first.
#pragma once

#include <deque>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/io/oneshot.h"

namespace lab {

// Wakes everyone who waits. Spurious wake-ups are allowed: waiters re-check their condition in a loop.
class Event {
 public:
  void notify() {
    auto woken = std::exchange(waiters_, {});
    for (auto& w : woken) w.set(true);
  }
  // False when `stop` was requested.
  Task<bool> wait(std::stop_token stop = {}) {
    if (stop.stop_requested()) co_return false;
    OneShot<bool> signal;
    waiters_.push_back(signal);
    std::stop_callback on_stop(stop, [signal]() mutable { signal.set(false); });
    bool woken = co_await signal.wait();
    if (!woken) forget(signal);
    co_return woken;
  }
  // False when the time ran out or `stop` was requested.
  Task<bool> wait_for(Duration d, std::stop_token stop = {}) {
    if (stop.stop_requested()) co_return false;
    OneShot<bool> signal;
    waiters_.push_back(signal);
    Loop& loop = *Loop::current();
    auto timer = loop.call_at(loop.now() + d, [signal]() mutable { signal.set(false); });
    bool woken;
    {
      std::stop_callback on_stop(stop, [signal]() mutable { signal.set(false); });
      woken = co_await signal.wait();
    }
    loop.cancel_timer(timer);
    if (!woken) forget(signal);
    co_return woken;
  }

 private:
  void forget(const OneShot<bool>& signal) {
    std::erase_if(waiters_, [&](const auto& w) { return w.same(signal); });
  }

  std::vector<OneShot<bool>> waiters_;
};

// A bounded queue with one reader. push() says false when it is full: the writer decides what that means.
template <class T>
class Mailbox {
 public:
  explicit Mailbox(std::size_t capacity) : capacity_(capacity) {}
  bool push(T value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    event_.notify();
    return true;
  }
  void close() {
    closed_ = true;
    event_.notify();
  }
  // Empty when closed (after the last item) or stopped.
  Task<std::optional<T>> pop(std::stop_token stop = {}) {
    while (items_.empty()) {
      if (closed_ || stop.stop_requested()) co_return std::nullopt;
      co_await event_.wait(stop);
    }
    std::optional<T> out(std::move(items_.front()));
    items_.pop_front();
    co_return out;
  }
  std::size_t size() const { return items_.size(); }

 private:
  std::size_t capacity_;
  std::deque<T> items_;
  bool closed_ = false;
  Event event_;
};

}  // namespace lab
