// OneShot<T>: carries one value from anywhere (a callback, another thread) to one awaiting coroutine.
//
//   OneShot<Result<int>> done;
//   store.commit(txn, [done](Result<int> r) mutable { done.set(std::move(r)); });
//   auto r = co_await done.wait();
//
// Copies share one state. set() may come from any thread, before or after wait(); later sets are ignored. The awaiting
// coroutine resumes on the loop it awaited on, always through post(), never inside set().
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "base/io/loop.h"

namespace lab {

template <class T>
class OneShot {
 public:
  OneShot() : state_(std::make_shared<State>()) {}

  void set(T value) {
    std::coroutine_handle<> waiter;
    Loop* loop = nullptr;
    {
      std::lock_guard lock(state_->mutex);
      if (state_->done) return;
      state_->done = true;
      state_->value.emplace(std::move(value));
      waiter = std::exchange(state_->waiter, {});
      loop = state_->loop;
    }
    if (waiter) loop->post([waiter] { waiter.resume(); });
  }

  bool same(const OneShot& other) const { return state_ == other.state_; }

  auto wait() {
    struct Awaiter {
      std::shared_ptr<State> state;
      bool await_ready() { return false; }
      bool await_suspend(std::coroutine_handle<> h) {
        std::lock_guard lock(state->mutex);
        if (state->done) return false;
        state->waiter = h;
        state->loop = Loop::current();
        return true;
      }
      T await_resume() { return std::move(*state->value); }
    };
    return Awaiter{state_};
  }

 private:
  struct State {
    std::mutex mutex;
    bool done = false;
    std::optional<T> value;
    std::coroutine_handle<> waiter;
    Loop* loop = nullptr;
  };
  std::shared_ptr<State> state_;
};

}  // namespace lab
