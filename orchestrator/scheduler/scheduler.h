// Scheduler: places pods on nodes, as a client of the API like any other.
//
// One loop. A scheduling cycle (filters, scores, decision) runs without waiting; the decision is assumed in the cache
// at once and written (pods/binding) beside the next cycles, many at a time. What fails goes back to the queue. All
// state is rebuilt from the API at the start, so it may be killed at any moment; of several schedulers only the one
// that holds the lease may run() (the caller sees to that).
#pragma once

#include <memory>
#include <string>

#include "base/io/loop.h"
#include "orchestrator/client/client.h"

namespace lab::scheduler {

struct Options {
  std::string name = "default-scheduler";  // the pods' spec.schedulerName it serves, and the name in its Events
  int max_binding = 256;                   // binds in flight
};

struct Stats {
  std::size_t active = 0, backoff = 0, unschedulable = 0;  // pods waiting
  std::size_t binding = 0;
  std::uint64_t scheduled = 0, unschedulable_attempts = 0, errors = 0, preemptions = 0;
};

class Scheduler {
 public:
  Scheduler(client::Client& client, Loop& loop, Options options = {});
  ~Scheduler();

  // Schedules until `stop`; returns when every bind in flight has ended. Once.
  Task<void> run(std::stop_token stop);
  bool synced() const;  // knows the cluster and schedules
  Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::scheduler
