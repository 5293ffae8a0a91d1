// begin(): starts a task beside the current one and gives a OneShot for its result.
//
//   auto other = begin<Result<int>>(scope, "read", read(), fail(...));
//   ...
//   auto r = co_await other.wait();
//
// When the scope is closing and drops the task unstarted, the result is `dropped`: a waiter never hangs.
#pragma once

#include <memory>
#include <string>

#include "base/io/oneshot.h"
#include "base/io/scope.h"

namespace lab::agent {

template <class T>
OneShot<T> begin(Scope& scope, std::string name, Task<T> task, T dropped) {
  struct Promise {
    explicit Promise(T value) : fallback(std::move(value)) {}
    Promise(const Promise&) = delete;
    ~Promise() { result.set(std::move(fallback)); }  // no effect after a real result
    OneShot<T> result;
    T fallback;
  };
  auto promise = std::make_unique<Promise>(std::move(dropped));
  OneShot<T> result = promise->result;
  auto run = [](Task<T> t, std::unique_ptr<Promise> p) -> Task<void> { p->result.set(co_await std::move(t)); };
  scope.spawn(std::move(name), run(std::move(task), std::move(promise)));
  return result;
}

}  // namespace lab::agent
