// NodeKeeper: the Node object of this machine: registration, status, Lease. One loop.
//
// It creates the Node (or takes over the one that is there), looks at the runtime's and the machine's condition, writes
// the status when something changed here or there (and every few minutes in any case), and renews the Lease by which the control
// plane sees that the node lives.
#pragma once

#include <functional>
#include <string>

#include "base/io/pool.h"
#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/agent/cgroups.h"
#include "orchestrator/agent/cri.h"
#include "orchestrator/agent/machine.h"
#include "orchestrator/agent/options.h"
#include "orchestrator/agent/runtime.h"
#include "orchestrator/client/informer.h"

namespace lab::agent {

inline constexpr const char* kKubeletVersion = "v1.32.3+lab";

// What the node offers: the machine's, or its cgroup's limits where they are lower, less what is reserved.
struct NodeCapacity {
  std::int64_t cpu_milli = 0, memory = 0, storage = 0;
  std::int64_t allocatable_cpu_milli = 0, allocatable_memory = 0, allocatable_storage = 0;
};
NodeCapacity node_capacity(const MachineInfo& machine, const Cgroups& cgroups, const AgentOptions& options);

struct Pressure {
  bool memory = false, disk = false, pids = false;
};

class NodeKeeper {
 public:
  NodeKeeper(const AgentOptions& options, client::Client& api, cri::CriClient& cri, Runtime& runtime, Pool& pool,
             MachineInfo machine, NodeCapacity capacity, std::string node_ip, client::EventRecorder& events);

  Task<void> status_loop(std::stop_token stop);
  Task<void> lease_loop(std::stop_token stop);
  void set_port(int port) { port_ = port; }
  void on_ready(std::function<void()> call) { on_ready_ = std::move(call); }  // each time the node becomes ready
  const std::string& uid() const { return uid_; }
  bool ready() const { return ready_; }
  Task<bool> wait_registered(std::stop_token stop);

 private:
  json::Value node_object() const;
  Task<Result<void>> register_node();
  void take_transitions(const json::Value& node);
  Task<json::Value> current_status();
  Task<Result<void>> write_status(json::Value status);
  void put_condition(json::Array& out, std::string type, bool status, std::string reason, std::string message) const;

  const AgentOptions& options_;
  client::Client& api_;
  cri::CriClient& cri_;
  Runtime& runtime_;
  Pool& pool_;
  MachineInfo machine_;
  NodeCapacity capacity_;
  std::string node_ip_, uid_, runtime_version_, pod_cidr_;
  client::EventRecorder& events_;
  std::function<void()> on_ready_;
  int port_ = 0;
  bool ready_ = false, registered_ = false;
  json::Value written_;  // the status as it was written last, heartbeats left out
  TimePoint written_at_{};
  std::map<std::string, std::pair<std::string, std::string>> transitions_;  // condition -> (status, since)
  Event registered_event_;
};

}  // namespace lab::agent
