// LabLimits: what a lab as a whole may take of this machine: all its nodes, their daemons and pods together.
//
// Memory (swap included), processors and processes are limits of the cgroup lab/PROFILE, above those of the nodes; the
// disk is a file system of that size in an image of its own. What does not fit fails inside the lab: a process is killed
// by the kernel (memory), waits (cpu), cannot fork (pids), or cannot write (disk).
#pragma once

#include <cstdint>

namespace lab::bootstrap {

struct LabLimits {  // 0: none
  std::uint64_t memory_bytes = 0;
  double cpus = 0;
  std::uint64_t pids = 0;        // processes and threads
  std::uint64_t disk_bytes = 0;  // may grow later, not shrink
  bool operator==(const LabLimits&) const = default;
};

}  // namespace lab::bootstrap
