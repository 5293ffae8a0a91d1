// What all processes of this node use together, as the root of the cgroups it sees tells it: a node that is itself a
// set of namespaces counts its own processes, a whole machine all there are. Blocking reads of /sys and /proc.
#pragma once

#include <cstdint>
#include <string>

namespace lab::agent {

struct NodeUse {
  std::int64_t cpu_ns = 0;       // since the node began
  std::int64_t working_set = 0;  // bytes that cannot be taken back at once
};
// `cgroups`: where they are mounted, version 1 (a directory per controller) or 2. What they do not tell comes from
// /proc.
NodeUse read_node_use(const std::string& cgroups = "/sys/fs/cgroup");

}  // namespace lab::agent
