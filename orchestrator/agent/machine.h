// What this machine is and how it fares: the facts of a Node's status. Blocking reads of /proc, /sys and /etc.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"

namespace lab::agent {

struct MachineInfo {
  std::string machine_id, system_uuid, boot_id, kernel_version, os_image, architecture;
  int cpus = 0;                   // those this process may use
  std::int64_t memory_total = 0;  // bytes
  std::int64_t boot_time = 0;     // seconds since the epoch
};
MachineInfo read_machine();

struct MemoryUse {
  std::int64_t total = 0, available = 0, rss = 0;
  std::int64_t page_faults = 0, major_page_faults = 0;
};
MemoryUse read_memory();
std::int64_t cpu_used_ns();  // by all, since boot

struct DiskUse {
  std::int64_t capacity = 0, available = 0, inodes = 0, inodes_free = 0;
};
DiskUse read_disk(const std::string& path);
struct PidUse {
  std::int64_t max = 0, used = 0;
};
PidUse read_pids();

// The address that packets to other machines leave from; "" when there is none.
std::string default_address();

}  // namespace lab::agent
