// NodeDriver: how the nodes of a local lab come to be. One implementation makes them of Linux namespaces on this
// machine (namespace_driver.h); others can stand behind the same interface.
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
};

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
  // A path by which this machine reaches a file of a running node.
  virtual Result<std::string> path_in(const std::string& name, const std::string& path) = 0;
  virtual Result<void> remove_all() = 0;                           // every node, the network, the storage
  // All processes of all nodes stand still, or go on. In a paused node nothing can be run.
  virtual Result<void> pause() { return fail(Code::kInvalid, "nodes of this driver cannot be paused"); }
  virtual Result<void> unpause() { return {}; }
  virtual Result<bool> paused() { return false; }
};

}  // namespace lab::bootstrap
