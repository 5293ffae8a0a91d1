// Whoever chooses a network on this machine, for a lab or for virtual machines, holds this lock from the choice until
// others can see what was chosen: labs may be started at the same moment.
#pragma once

#include "base/file_lock.h"

namespace lab::bootstrap {

inline Result<FileLock> lock_networks() {
  return FileLock::wait_for("/run/lab/networks.lock");
}

}  // namespace lab::bootstrap
