// Pool: a bounded set of threads for calls that block (files, mounts, waiting for children).
//
//   auto r = co_await pool.run([] { return read_file("/etc/resolv.conf"); });
//
// The coroutine resumes on the loop it awaited on. Work queues without bound but runs `threads` at a time; threads are
// made as needed. The destructor finishes the work that was queued.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include "base/io/oneshot.h"

namespace lab {

class Pool {
 public:
  explicit Pool(std::string name, int threads);
  ~Pool();

  void submit(std::move_only_function<void()> work);

  template <class F, class R = std::invoke_result_t<F>>
  Task<R> run(F f) {
    if constexpr (std::is_void_v<R>) {
      OneShot<bool> done;
      submit([done, f = std::move(f)]() mutable {
        f();
        done.set(true);
      });
      co_await done.wait();
    } else {
      OneShot<R> done;
      submit([done, f = std::move(f)]() mutable { done.set(f()); });
      co_return co_await done.wait();
    }
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab
