// StandStill: a lab's running nodes are paused for a moment, and go on afterwards whatever becomes of this process.
#pragma once

#include <sys/types.h>

#include <utility>

#include "bootstrap/node/driver.h"

namespace lab::bootstrap {

class StandStill {
 public:
  // Pauses. Nothing happens when no node runs or they are paused already. The driver must live longer. Call it while
  // this process has one thread: it forks a helper that outlives this process when that is killed, and holds its locks.
  static Result<StandStill> begin(NodeDriver& driver);
  Result<void> end();
  StandStill(StandStill&& o) noexcept
      : driver_(std::exchange(o.driver_, nullptr)), helper_(o.helper_), pipe_(std::exchange(o.pipe_, -1)) {}
  StandStill& operator=(StandStill&&) = delete;
  ~StandStill() { (void)end(); }

 private:
  StandStill() = default;
  Result<void> start_helper();
  NodeDriver* driver_ = nullptr;  // null: nothing to undo
  pid_t helper_ = 0;
  int pipe_ = -1;
};

}  // namespace lab::bootstrap
