// LabLimits: what a lab as a whole may take of this machine, all its nodes, their daemons and pods together; and as
// whom its nodes run.
//
// Memory (swap included), processors and processes are limits of the cgroup lab/PROFILE, above those of the nodes; the
// disk is a file system of that size in an image of its own (storage.h). What does not fit fails inside the lab: a
// process is killed by the kernel (memory), waits (cpu), cannot fork (pids), or cannot write (disk).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "bootstrap/node/user_namespace.h"

namespace lab::bootstrap {

struct LabLimits {  // 0: none
  std::uint64_t memory_bytes = 0;
  double cpus = 0;
  std::uint64_t pids = 0;        // processes and threads
  std::uint64_t disk_bytes = 0;  // may grow later, not shrink
  bool operator==(const LabLimits&) const = default;
};

struct Isolation {
  LabLimits limits;
  UserRange users;  // empty: nodes run as this machine's root
  bool operator==(const Isolation&) const = default;
};

// Sets memory, cpus and pids of a cgroup that exists ("lab/PROFILE"), in every hierarchy; a limit of 0 is taken away.
// Conflict: it holds more than that now.
Result<void> limit_cgroup(const std::string& path, const LabLimits& limits);

// What a cgroup and all below it take; 0 where this machine does not count it, or has no such cgroup.
struct LabUsage {
  std::uint64_t memory_bytes = 0;  // with the page cache
  std::uint64_t cpu_microseconds = 0;
  std::uint64_t pids = 0;
  std::uint64_t oom_kills = 0;
  std::uint64_t disk_bytes = 0;  // by lab_usage only
};
Result<LabUsage> cgroup_usage(const std::string& path);

}  // namespace lab::bootstrap
