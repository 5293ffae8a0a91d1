// PolicyAgent: makes NetworkPolicies hold for the pods of this node, in the kernel through nftables.
//
//   PolicyAgent agent({.client = &client, .node_name = "node1", .wired = ...});
//   agent.start(scope);
//   co_await agent.pod_wired({"prod", "db-0", address});     // before the pod's first process runs
//
// Watches NetworkPolicies; Pods and Namespaces as well, from the first policy on. Without any policy nothing is hooked:
// the table is removed. Blocked connections are written to the log (blocked_log.h). Rules of an agent that was killed
// go on working, and the next one changes what is no longer right. Lives on the scope's loop and must outlive the
// scope's tasks. What blocks runs on a thread of its own, in the network namespace of the thread that made the agent.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/io/pool.h"
#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/client/informer.h"
#include "overlay-net/policy/blocked_log.h"
#include "overlay-net/policy/ruleset.h"
#include "overlay-net/policy/wired_pod.h"

namespace lab::overlay::policy {

class Executor;

struct PolicyAgentOptions {
  client::Client* client = nullptr;
  std::string node_name;
  std::string bridge = "lab0";
  std::function<std::vector<WiredPod>()> wired;        // those of this node by now; any thread
  Duration check_interval = std::chrono::seconds(10);  // how often the table is looked for
};

class PolicyAgent {
 public:
  explicit PolicyAgent(PolicyAgentOptions options);
  ~PolicyAgent();

  void start(Scope& scope);
  // Any loop. Returns when the kernel isolates the pod as far as policies may want it, or after some seconds: a node
  // that cannot know its policies (no API server since it started) runs pods all the same.
  Task<void> pod_wired(WiredPod pod);
  void pod_unwired(IpAddress address);  // any thread
  std::string metrics() const;          // Prometheus text; any thread

  static Result<void> clean_up();  // removes the table of this node

 private:
  Task<void> keep_synced(std::stop_token stop);
  Task<Result<void>> sync(std::stop_token stop);
  Task<Result<void>> unhook();
  Task<Result<void>> converge();
  Task<bool> still_there();
  void take_news();
  void take_policy(const std::string& key);
  void watch_pods();
  void read_log();
  void tell_blocked(std::vector<LoggedPacket> packets);
  void news(std::set<std::string>& where, const client::ObjectPtr& old, const client::ObjectPtr& now);

  PolicyAgentOptions options_;
  client::Informer policies_, pods_, namespaces_;
  Ruleset ruleset_;
  BlockedLog blocked_;
  ProgramOptions program_options_;
  std::unique_ptr<Executor> executor_;
  Scope* scope_ = nullptr;
  TimePoint started_{};
  std::set<std::string> new_policies_, new_pods_, new_namespaces_;
  std::vector<WiredPod> new_wired_;
  std::vector<OneShot<bool>> waiting_;  // for what is new to be in the kernel
  Event changed_;
  bool fresh_ = false;  // something came since the last sync began
  bool watching_ = false, prepared_ = false;
  enum class Kernel { kUnknown, kUnhooked, kProgrammed } kernel_ = Kernel::kUnknown;
  std::atomic<std::uint64_t> policy_count_ = 0, isolated_ = 0, blocked_count_ = 0;
  Pool pool_{"policy", 1};
  std::jthread log_reader_;  // last: it uses what is above
};

}  // namespace lab::overlay::policy
