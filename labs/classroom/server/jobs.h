// Jobs: what takes long (starts, exercises, resets, nodes), each as a process of this program, so many at once as there
// are processors; the others wait in the order in which they came and say how many are before them.
//
// How one stands is the part "job" of its seat's state: what, its last line of progress, since when, and the error it
// ended with, which stays until the next one. At most one per seat. A note on disk
// (/var/lib/lab/classes/CLASS/jobs/STUDENT.json) tells a server that was killed, when it is started again, which were
// cut off: a job's process never outlives the server. All calls from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "labs/classroom/server/seat.h"

namespace lab::classroom {

struct JobHooks {
  std::function<void(const SeatPtr&)> begin;  // before the process runs; blocks the job until it returns
  // After it ended, before the next one of this seat may begin; with why it failed, or "".
  std::function<void(const SeatPtr&, const std::string& error)> end;
};

class Jobs {
 public:
  Jobs(int at_once, JobHooks hooks);
  ~Jobs();  // stop()

  // `what`: "start", "exercise", "reset", "node", "delete-node" ...; commands run one after the other, until one fails.
  // The job's id; Conflict while the seat has one that waits or runs, Unavailable after stop().
  Result<std::string> start(const SeatPtr& seat, const std::string& what,
                            std::vector<std::vector<std::string>> commands);
  bool busy(const SeatPtr& seat) const;
  // Finds what an earlier server left: a failure, or a job that was cut off, and shows it in the seat. Blocking.
  static void recover(const SeatPtr& seat);
  // Ends what runs, and takes nothing more. What was cut off is told by the next server.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::classroom
