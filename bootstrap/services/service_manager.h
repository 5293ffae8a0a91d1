// ServiceManager: installs, starts and removes a node's daemons, through systemd where it is PID 1, else through
// `lab supervise`, which is started when it is not running. Blocking.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bootstrap/supervise/unit.h"

namespace lab::bootstrap {

struct ServiceState {
  std::string name;
  bool running = false;
  int restarts = 0;
  std::string last_end;
  int pid = 0;  // 0: it does not run
};

class ServiceManager {
 public:
  static std::unique_ptr<ServiceManager> detect();
  virtual ~ServiceManager() = default;
  virtual std::string name() const = 0;                     // "systemd" or "lab supervise"
  // Writes the unit and starts it; one that runs with another description is restarted.
  virtual Result<void> ensure_running(const Unit& unit) = 0;
  virtual Result<void> restart(const std::string& name) = 0;
  virtual Result<void> stop(const std::string& name) = 0;   // waits for its end; the unit stays, and restart() starts it
  virtual Result<void> remove(const std::string& name) = 0; // stops it, waits for its end, removes the unit
  // Ends what the manager itself brought to this machine, once its units are gone: our supervisor, with the runtime that
  // it ran. The supervisor that is a local lab's node, and an init system, stay.
  virtual Result<void> release() = 0;
  virtual Result<std::vector<ServiceState>> list() = 0;     // our units only
  virtual std::string log_hint(const std::string& name) const = 0;   // the command that shows its log
};

bool systemd_running();

}  // namespace lab::bootstrap
