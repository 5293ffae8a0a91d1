// How many students' labs this machine has room for, and which resource sets the limit. Counted before anything is
// made.
//
// What a lab takes was measured (docs/density.md); what the machine has is read from /proc and /sys at the moment of
// the question. Reading is tolerant: what cannot be read sets no limit. Limits that every start raises by itself
// (bootstrap/node/kernel_limits.h) are none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "labs/classroom/model/class.h"

namespace lab::classroom {

// Free, or left over by others.
struct Machine {
  double memory_bytes = 0;
  double disk_bytes = 0;       // where labs lie
  double threads = 0;          // the kernel counts processes and threads alike: pid_max, threads-max, the pids cgroup
  double inotify_watches = 0;  // of root, in which every node's programs run
  double millicores = 0;
};
// `root` is put before every path: "" for this machine. `disk` is a directory on the file system of the labs.
Machine look_at_machine(const std::string& root, const std::string& disk);

// One lab of that many nodes, and what is needed once for the class.
struct Need {
  Machine lab, once;
};
Need need_of(int nodes);

struct Resource {
  std::string name;
  std::string per_lab, free;  // for people: "310 MiB"
  std::int64_t labs = 0;      // that fit
  std::string advice;         // how there can be more
};
struct Capacity {
  std::vector<Resource> resources;  // the tightest first
  std::int64_t labs = 0;            // that fit, by all resources
};
Capacity capacity_of(const Machine& machine, const Need& need);

// RESOURCE, PER STUDENT, FREE, ROOM FOR; the tightest first.
std::string capacity_table(const Capacity& capacity);

// A lab of that many nodes cannot live within limits below what it takes by itself: Invalid, naming the flag.
Result<void> check_limits(const Limits& limits, int nodes);

}  // namespace lab::classroom
