// Supervisor: keeps the units of a node running where there is no systemd. It is PID 1 of a local lab's nodes, and an
// ordinary daemon on hosts without an init system of their own.
//
// One thread, one poll loop. Restart with back-off (0.1 s doubling to 10 s, reset after 30 s of life); output appended
// to LOGDIR/NAME.log, which is cut and kept once at 16 MiB; every child is reaped, orphans too when it is PID 1.
// Control: one JSON line each way on a unix socket: {"op": "list|start|stop|restart|reload|shutdown", "name": "..."}.
// Killing it leaves the units running; the next supervisor finds them by their pid files and adopts them.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "bootstrap/supervise/unit.h"

namespace lab::bootstrap {

struct SupervisorOptions {
  std::string unit_directory = kUnitDirectory;
  std::string socket_path = kSuperviseSocket;
  std::string log_directory = kLogDirectory;
  std::string pid_directory = "/run/lab/pids";
};

// Returns after SIGTERM or SIGINT, or {"op": "shutdown"}, when all units have ended.
Result<void> run_supervisor(SupervisorOptions options);

// One request to a running supervisor. Unavailable when none listens.
Result<json::Value> ask_supervisor(const json::Value& request, const std::string& socket_path = kSuperviseSocket);

}  // namespace lab::bootstrap
