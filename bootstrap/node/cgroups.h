// A node's cgroups: one directory lab/PROFILE/NODE in every hierarchy of this machine (v1, hybrid or v2).
//
// cgroups(7): on v2 a cgroup with controllers enabled for its children holds no processes itself, so the node's PID 1
// lives in the child `init` there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

struct Hierarchy {
  std::string mount_point;               // /sys/fs/cgroup/memory
  std::vector<std::string> controllers;  // v1: {"memory"}, {"cpu", "cpuacct"}, {"name=systemd"}; v2: empty
  bool v2 = false;
};
Result<std::vector<Hierarchy>> cgroup_hierarchies();
// True when controllers live on v2 (cgroup v2 alone); false for v1 and for hybrid.
bool unified_only(const std::vector<Hierarchy>& all);

// path: "lab/PROFILE/NODE". Limits of 0 are none.
Result<void> make_cgroups(const std::string& path, std::uint64_t memory_bytes, double cpus);
// Lets a user make cgroups below and move their own processes there; the limits of `path` itself stay out of their
// reach.
Result<void> delegate_cgroups(const std::string& path, std::uint32_t user);
Result<void> enter_cgroups(const std::string& path);  // this process
Result<void> enter_cgroups_of(int pid);               // this process, beside another one
// Inside the node's cgroup namespace: mounts the hierarchies below `root`, and on v2 hands the controllers down.
Result<void> mount_cgroups(const std::string& root, const std::vector<Hierarchy>& host);
// Removes the directories and all below; processes in them must have ended (a moment is waited for them).
Result<void> remove_cgroups(const std::string& path);
// The same, and ends the processes that are there or come: those of a start that was killed before it wrote their
// numbers down are known nowhere else.
Result<void> end_cgroups(const std::string& path);

}  // namespace lab::bootstrap
