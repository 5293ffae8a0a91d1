// A node's processes: its PID 1 in namespaces of its own, and processes that enter them (namespaces(7), setns(2)).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "bootstrap/node/driver.h"
#include "bootstrap/node/layout.h"
#include "bootstrap/node/user_namespace.h"

namespace lab::bootstrap {

// The pid in the node's pid file, when that very process still lives; else 0.
int node_pid(const NodeLayout& layout);
// The same, but a node that a killed command has begun to start is waited for: before its root stands nothing of it can be
// read. 0 too when it does not come to that.
int await_node(const NodeLayout& layout);

// Starts PID 1 (this binary as `node-run`, then `supervise` inside) and waits until its namespaces are there.
Result<int> launch_node(const NodeLayout& layout, const std::string& cgroup_path, const UserRange& users = {});
// What `lab node-run` does: cgroups, namespaces, root, supervisor. Returns only on failure.
Result<void> run_node(const std::string& base, const std::string& cgroup_path, const UserRange& users);

// This process joins the cgroups and namespaces of a process of a node, in /root there. Its PID namespace holds for the
// children only: fork before exec. For a process that does nothing else afterwards, and has one thread.
Result<void> enter_node(int pid);
// What `lab node-exec` does: runs a program in the namespaces and cgroups of a process, on this terminal.
Result<int> exec_in_node(int pid, const std::vector<std::string>& argv, const std::map<std::string, std::string>& env);

}  // namespace lab::bootstrap
