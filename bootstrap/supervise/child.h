// Child: one unit under supervision: its process, back-off and log.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "base/json.h"
#include "bootstrap/supervise/supervisor.h"

namespace lab::bootstrap {

using Time = std::chrono::steady_clock::time_point;

class Child {
 public:
  Child(Unit unit, const SupervisorOptions& options);

  void want_running();
  void want_stopped();
  bool wanted() const { return wanted_; }
  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  const Unit& unit() const { return unit_; }
  void replace(Unit unit) { unit_ = std::move(unit); }

  // Starts, kills or adopts as its state and the time demand.
  void step(Time now);
  // When step() wants to be called again; Time::max() when nothing is pending.
  Time next() const;
  void ended(int status, Time now);
  void rotate_log();
  json::Value describe() const;

 private:
  void start(Time now);
  bool adopt();
  void note_end(std::string how, Time now);
  std::string pid_path() const;

  Unit unit_;
  const SupervisorOptions& options_;
  bool wanted_ = false;
  bool adopted_ = false;            // not our child: its end is seen by looking
  bool asked_ = false;              // its end was asked for: no fault to be patient with
  pid_t pid_ = 0;
  int restarts_ = 0;
  std::string last_end_;
  Time started_{}, start_at_ = Time::min(), kill_at_ = Time::max();
  std::chrono::milliseconds backoff_{100};
};

}  // namespace lab::bootstrap
