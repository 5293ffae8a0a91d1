// Loop: one thread's event loop, and the clock of everything that runs on it.
//
// post() and call_at() may be used from any thread; the functions given to them run on the loop's thread, one at a
// time, in order. Code takes a Loop& (or Loop::current()) and never asks the system for the time or sleeps a thread,
// so that the simulation can run the same code under its own clock. EventLoop is the real implementation.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "base/io/task.h"

namespace lab {

using Duration = std::chrono::steady_clock::duration;
using TimePoint = std::chrono::steady_clock::time_point;  // monotonic
using WallTime = std::chrono::system_clock::time_point;   // what goes into objects and certificates

class Loop {
 public:
  using Function = std::move_only_function<void()>;
  using TimerId = std::uint64_t;

  virtual ~Loop() = default;
  virtual void post(Function f) = 0;
  virtual TimerId call_at(TimePoint when, Function f) = 0;
  virtual void cancel_timer(TimerId id) = 0;  // on the loop's thread; nothing happens when it already ran
  virtual TimePoint now() const = 0;
  virtual WallTime wall() const = 0;

  // The loop whose thread this is; null on other threads.
  static Loop* current();

 protected:
  static void set_current(Loop* loop);
};

// The real loop over Boost.Asio. run() returns after stop(); both may be called once.
class EventLoop final : public Loop {
 public:
  EventLoop();
  ~EventLoop() override;
  void run();
  void stop();  // any thread
  void post(Function f) override;
  TimerId call_at(TimePoint when, Function f) override;
  void cancel_timer(TimerId id) override;
  TimePoint now() const override;
  WallTime wall() const override;
  void* native();  // boost::asio::io_context*, for base/io and base/http only

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A thread that runs an EventLoop from construction until destruction.
class LoopThread {
 public:
  explicit LoopThread(std::string name);
  ~LoopThread();  // stops the loop and joins; pending functions are dropped
  EventLoop& loop() { return *loop_; }

 private:
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

// co_await resume_on(loop): continues on that loop's thread.
struct ResumeOn {
  Loop& loop;
  bool await_ready() const { return Loop::current() == &loop; }
  void await_suspend(std::coroutine_handle<> h) {
    loop.post([h] { h.resume(); });
  }
  void await_resume() {}
};
inline ResumeOn resume_on(Loop& loop) {
  return ResumeOn{loop};
}

// Waits on the current loop. False when `stop` ended the wait early.
Task<bool> sleep_for(Duration d, std::stop_token stop = {});

}  // namespace lab
