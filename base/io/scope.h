// Scope: owns running tasks. Everything that runs in the background lives in one.
//
//   Scope scope(loop);
//   scope.spawn("heartbeat", heartbeat());        // starts on the loop's thread
//   co_await scope.close();                       // asks all to stop, waits until the last has ended
//
// Tasks watch scope.token() (sleep_for and the streams take it). close() must have completed before destruction.
// spawn() may be called from any thread; a task spawned after close() began is dropped unstarted.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/io/loop.h"

namespace lab {

class Scope {
 public:
  explicit Scope(Loop& loop);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  void spawn(std::string name, Task<void> task);
  // The closure lives as long as the task it makes: the one place where a capturing lambda coroutine is sound.
  void spawn(std::string name, std::move_only_function<Task<void>()> make);
  // Like spawn(), but runs the task at once, up to its first wait. On the loop's thread only; for hot paths.
  void start(std::string name, Task<void> task);

  std::stop_token token() const;
  void request_stop();
  Task<void> close();
  Loop& loop() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Runs one task to its end on a fresh loop on this thread, and returns its value: for main() and tests.
template <class T>
T run_task(Task<T> task);
void run_until_done(EventLoop& loop, Task<void> task);

template <class T>
T run_task(Task<T> task) {
  EventLoop loop;
  if constexpr (std::is_void_v<T>) {
    run_until_done(loop, std::move(task));
  } else {
    std::optional<T> out;
    auto wrap = [](Task<T> inner, std::optional<T>& slot) -> Task<void> { slot.emplace(co_await std::move(inner)); };
    run_until_done(loop, wrap(std::move(task), out));
    return std::move(*out);
  }
}

}  // namespace lab
