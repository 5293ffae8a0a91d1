// NodeDriver: how the nodes of a local lab come to be. One implementation makes them of Linux namespaces on this
// machine (namespace_driver.h), another one makes virtual machines (join/vm/driver.h).
//
// Blocking; calls for different nodes may run at the same time. Every call may be repeated after a crash in its middle.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

struct NodeSpec {
  std::string name;
  std::string address;               // on the lab's network
  std::uint64_t memory_bytes = 0;    // 0: no limit
  double cpus = 0;                   // 0: no limit
  bool shared_master = false;        // one of several masters: the name kControlPlaneName means it, too
};
inline constexpr const char* kControlPlaneName = "control-plane";

struct NodeState {
  NodeSpec spec;
  bool running = false;
  int pid = 0;                       // namespace driver: the node's PID 1 as this machine sees it
};

struct ExecRequest {
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string stdin_text;
  int timeout_seconds = 0;           // 0: none
};
struct ExecResult {
  int exit_code = 0;
  std::string out, err;
};

class NodeDriver {
 public:
  virtual ~NodeDriver() = default;
  virtual Result<void> prepare() = 0;                              // what all nodes share: network, storage
  virtual Result<void> start(const NodeSpec& spec) = 0;            // makes it when it is new
  virtual Result<void> stop(const std::string& name) = 0;          // orderly; keeps its files
  virtual Result<void> remove(const std::string& name) = 0;        // with its files
  virtual Result<void> halt(const std::string& name) { return stop(name); }   // at once, as without power; keeps its files
  virtual Result<std::vector<NodeState>> list() = 0;
  virtual Result<ExecResult> exec(const std::string& name, ExecRequest request) = 0;   // output captured
  // Replaces this process by one in the node, on this terminal.
  virtual Result<void> enter(const std::string& name, std::vector<std::string> argv) = 0;
  // A path by which this machine reaches a file of a running node; kInvalid where nodes' files have none.
  virtual Result<std::string> path_in(const std::string& name, const std::string& path) = 0;
  // Files of a running node, whether they have such a path or not. kNotFound: there is none.
  virtual Result<std::string> read_file(const std::string& name, const std::string& path);
  virtual Result<void> write_file(const std::string& name, const std::string& path, const std::string& content);   // and its directory
  virtual Result<void> remove_file(const std::string& name, const std::string& path);   // absent is fine
  virtual Result<void> copy_in(const std::string& name, const std::string& from, const std::string& to);   // a file of this machine
  virtual Result<void> runtime_answers(const std::string& name);   // kUnavailable until its container runtime does
  virtual Result<void> remove_all() = 0;                           // every node, the network, the storage
  // All processes of all nodes stand still, or go on. In a paused node nothing can be run.
  virtual Result<void> pause() { return fail(Code::kInvalid, "nodes of this driver cannot be paused"); }
  virtual Result<void> unpause() { return {}; }
  virtual Result<bool> paused() { return false; }
};

}  // namespace lab::bootstrap
