// A control plane beside the agent: the real API server over a real store, and the controllers that pods need (service
// accounts and their tokens, the root CA's ConfigMap). In this process; clients get an identity and go through the
// whole filter chain.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "machine.h"
#include "orchestrator/client/client.h"

namespace lab::agent::test {

class ControlPlane {
 public:
  ControlPlane();
  ~ControlPlane();
  std::string url() const;
  std::unique_ptr<client::Client> client_as(std::string user, std::vector<std::string> groups, Loop& loop);
  // An agent with the identity of its node. Serves HTTPS for logs and exec.
  std::unique_ptr<RunningAgent> start_agent(AgentOptions options);

  // As an administrator; each fails the test when the server refuses.
  json::Value create(client::Resource r, const std::string& yaml, const std::string& ns = "default");
  json::Value get(client::Resource r, const std::string& name, const std::string& ns = "default");  // null: not there
  json::Value list(client::Resource r, const std::string& ns = "default");
  void replace(client::Resource r, json::Value object, const std::string& ns = "default");
  void remove(client::Resource r, const std::string& name, const std::string& ns = "default", int grace = -1);
  json::Value pod(const std::string& name) { return get(client::res::pods, name); }
  json::Value run_pod(const std::string& yaml);  // creates it, bound to the node in it
  // Waits for a condition on the pod; fails the test with the pod's text otherwise.
  bool wait_pod(const std::string& name, const std::function<bool(const json::Value&)>& wanted);
  bool wait_phase(const std::string& name, const std::string& phase);
  bool wait_gone(const std::string& name);
  // "Reason: message" of the events about an object, oldest first.
  std::vector<std::string> events(const std::string& about);
  bool wait_event(const std::string& about, const std::string& part);
  Finished kubectl(std::vector<std::string> args, std::string input = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// containerStatuses[0], or that of a name; null when absent.
json::Value status_of(const json::Value& pod, const std::string& container = {});
std::string condition(const json::Value& object, const std::string& type);  // its status

// One control plane and one agent for a group of tests.
class ClusterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  static ControlPlane& cluster() { return *cluster_; }
  static RunningAgent& agent() { return *agent_; }
  static void stop_agent();
  static void start_agent();
  static void restart_agent();
  // Id of the container or sandbox of the pod with this uid that the runtime holds; "" when there is none.
  static std::string container_of(const std::string& uid, const std::string& kind = "container");
  static AgentOptions options_;

 private:
  static std::unique_ptr<ControlPlane> cluster_;
  static std::unique_ptr<RunningAgent> agent_;
};

}  // namespace lab::agent::test
