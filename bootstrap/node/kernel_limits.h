// Limits of this machine's kernel that all labs share, and that its defaults set for one machine and not for a hundred:
// inotify instances (each containerd has one, and with cgroup v2 each container), neighbour entries (one table for all
// network namespaces). They are raised when the nodes of all labs need more, and put back with the last lab.
//
// What they were is kept in /var/lib/lab/kernel-limits.json. Several processes may call at the same time.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace lab::bootstrap {

inline constexpr const char* kKernelLimitsRecord = "/var/lib/lab/kernel-limits.json";

// `nodes`: of all labs together. Repeatable; values that suffice, or that somebody has set higher, stay.
Result<void> raise_kernel_limits(std::size_t nodes, const std::string& record = kKernelLimitsRecord);
// A value that somebody has changed since stays. Absent record: nothing happens.
Result<void> restore_kernel_limits(const std::string& record = kKernelLimitsRecord);

}  // namespace lab::bootstrap
