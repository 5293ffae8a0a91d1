// Cgroups of pods: kubepods[/burstable|/besteffort]/pod<UID> below a root, on cgroup v1, hybrid and v2.
//
// The agent makes the tree and sets the pod's limits; the runtime makes the containers' cgroups below. What the kernel
// refuses (a controller that is not there, a limit this process may not set) is logged once and never stops a pod.
// With the systemd driver the tree is systemd's (kubepods-burstable-pod<UID>.slice, on cgroup v2): the agent tells it the
// limits, and it makes and removes the slices.
// Blocking; any thread, but one call per pod at a time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/agent/resources.h"

namespace lab::agent {

// What systemd is told of a pod's limits, as systemd.resource-control(5) names it: "MemoryMax=67108864".
std::vector<std::string> slice_properties(const PodLimits& limits, std::int64_t pids = -1);

struct CgroupOptions {
  std::string root = "/";           // below which kubepods is made; the kubelet's --cgroup-root
  std::string driver = "cgroupfs";  // or "systemd": names are slices, as the runtime must be told too
  std::string mounts = "/sys/fs/cgroup";
  std::int64_t pod_pids = -1;  // processes of a pod; below 1: no limit
};

class Cgroups {
 public:
  // Reads which controllers are mounted where.
  explicit Cgroups(CgroupOptions options);

  // What the runtime is told as the sandbox's cgroup parent.
  std::string parent_of(const json::Value& pod) const;
  Result<void> make_pod(const json::Value& pod) const;
  // Removes the pod's cgroups of every class. Fails with kConflict while processes live there.
  Result<void> remove_pod(const std::string& uid) const;
  // Removes the whole tree, when no pod is left.
  Result<void> remove_all() const;
  // The uids of the pods that have a cgroup.
  std::set<std::string> pods() const;
  // What the tree itself is limited to (0: no limit), for the node's capacity.
  std::int64_t memory_limit() const;
  std::int64_t cpu_limit_milli() const;
  bool unified() const { return v1_.empty(); }

 private:
  std::string slice_path(const std::string& uid, Qos qos) const;  // below the mounts
  std::string directory(const std::string& controller, const std::string& path) const;
  void set(const std::string& controller, const std::string& path, const std::string& file,
           const std::string& value) const;
  std::set<std::string> all_mounts() const;
  Result<void> make_slice(const std::string& name, const std::vector<std::string>& properties) const;
  bool by_systemd() const { return options_.driver == "systemd" && !v2_.empty(); }
  void enable_controllers(const std::string& path) const;

  CgroupOptions options_;
  std::map<std::string, std::string> v1_;  // controller -> mount point
  std::string v2_;                         // mount point of cgroup2, when it has the controllers
};

}  // namespace lab::agent
