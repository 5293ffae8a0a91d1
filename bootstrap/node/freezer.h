// Stopping all processes of a cgroup, and of those below it, where they stand, and letting them go on: cgroup v2's
// cgroup.freeze (Linux 5.2), or v1's freezer on machines without v2.
//
// Frozen processes use no processor; they keep memory, files and connections, and notice nothing but the time. On v2
// they can be killed; on v1 a kill takes effect when they are let go. Blocking; every call may be repeated.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

struct Freezer {
  std::string directory;  // of the cgroup, in the hierarchy that freezes
  bool v2 = false;
};
// Those that the cgroup has on this machine, the best first; none where there is no such cgroup.
Result<std::vector<Freezer>> freezers(const std::string& path);

// Returns when every process stands still. When one does not within some seconds, all go on, and it is an error.
Result<void> freeze(const Freezer& freezer);
Result<void> thaw(const Freezer& freezer);
bool is_frozen(const Freezer& freezer);  // told to be, itself

// The same by a cgroup's path, "lab/PROFILE", by the best means there is. Thawing and asking look at all of them.
Result<void> freeze_cgroups(const std::string& path);
Result<void> thaw_cgroups(const std::string& path);  // absent is fine
Result<bool> cgroups_frozen(const std::string& path);

}  // namespace lab::bootstrap
