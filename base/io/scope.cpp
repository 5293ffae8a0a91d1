#include "base/io/scope.h"

#include <mutex>
#include <vector>

#include "base/io/oneshot.h"
#include "base/log.h"

namespace lab {

namespace {

// A coroutine that nobody awaits: its frame frees itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

}  // namespace

struct Scope::State {
  explicit State(Loop& l) : loop(l) {}
  Loop& loop;
  std::stop_source stop;
  std::mutex mutex;
  int running = 0;
  bool closing = false;
  std::vector<OneShot<bool>> idle_waiters;

  bool enter() {
    std::lock_guard lock(mutex);
    if (closing) return false;
    ++running;
    return true;
  }
  void leave() {
    std::vector<OneShot<bool>> wake;
    {
      std::lock_guard lock(mutex);
      if (--running == 0) wake.swap(idle_waiters);
    }
    for (auto& w : wake) w.set(true);
  }
};

namespace {

Detached drive(std::string name, Task<void> task, std::move_only_function<Task<void>()> make,
               std::move_only_function<void()> leave) {
  try {
    if (!task && make) task = make();
    co_await std::move(task);
  } catch (const std::exception& e) {
    log::error("bug: a task ended with an exception", {{"task", name}, {"what", e.what()}});
  }
  task = {};
  make = {};
  leave();
}

}  // namespace

Scope::Scope(Loop& loop) : state_(std::make_shared<State>(loop)) {}
Scope::~Scope() {
  state_->stop.request_stop();
}

void Scope::spawn(std::string name, Task<void> task) {
  if (!state_->enter()) return;
  state_->loop.post([state = state_, name = std::move(name), task = std::move(task)]() mutable {
    drive(std::move(name), std::move(task), {}, [state] { state->leave(); });
  });
}

void Scope::spawn(std::string name, std::move_only_function<Task<void>()> make) {
  if (!state_->enter()) return;
  state_->loop.post([state = state_, name = std::move(name), make = std::move(make)]() mutable {
    drive(std::move(name), {}, std::move(make), [state] { state->leave(); });
  });
}

void Scope::start(std::string name, Task<void> task) {
  if (!state_->enter()) return;
  drive(std::move(name), std::move(task), {}, [state = state_] { state->leave(); });
}

std::stop_token Scope::token() const {
  return state_->stop.get_token();
}
void Scope::request_stop() {
  state_->stop.request_stop();
}
Loop& Scope::loop() const {
  return state_->loop;
}

Task<void> Scope::close() {
  OneShot<bool> idle;
  bool wait = false;
  {
    std::lock_guard lock(state_->mutex);
    state_->closing = true;
    if (state_->running > 0) {
      wait = true;
      state_->idle_waiters.push_back(idle);
    }
  }
  state_->stop.request_stop();
  if (wait) co_await idle.wait();
}

void run_until_done(EventLoop& loop, Task<void> task) {
  Scope scope(loop);
  std::exception_ptr error;
  scope.spawn("main", [&]() -> Task<void> {
    try {
      co_await std::move(task);
    } catch (...) {
      error = std::current_exception();
    }
    loop.stop();
  });
  loop.run();
  if (error) std::rethrow_exception(error);
}

}  // namespace lab
