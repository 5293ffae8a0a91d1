// Runs tasks concurrently on the current loop, at most `width` at a time, and waits for all.
#pragma once

#include <vector>

#include "base/io/scope.h"

namespace lab::controllers {

// results[i] belongs to tasks[i].
template <class T>
Task<std::vector<T>> run_parallel(std::vector<Task<T>> tasks, std::size_t width = 64) {
  std::vector<std::optional<T>> slots(tasks.size());
  std::size_t next = 0;
  {
    Scope scope(*Loop::current());
    for (std::size_t lane = 0; lane < std::min(width, tasks.size()); ++lane)
      scope.spawn("parallel", [&tasks, &slots, &next]() -> Task<void> {
        while (next < tasks.size()) {
          std::size_t mine = next++;
          slots[mine].emplace(co_await std::move(tasks[mine]));
        }
      });
    co_await scope.close();
  }
  std::vector<T> results;
  results.reserve(slots.size());
  for (auto& slot : slots) results.push_back(std::move(*slot));
  co_return results;
}

}  // namespace lab::controllers
