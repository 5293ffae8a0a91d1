// A real API server over a real store in a temporary directory, the controllers on it, and a stand-in for the nodes.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/controllers/manager.h"

namespace lab::controllers {

// Plays scheduler and node agents: binds pods round robin to the nodes (or to the node they are pinned to), reports
// them Running and Ready with an address, and lets go of those that are being deleted.
class Nodes {
 public:
  explicit Nodes(client::Client& client, Loop& loop);
  void start(Scope& scope);

  std::vector<std::string> names{"n1"};
  // What becomes of a started pod: "Running" (and ready), "Unready", "Succeeded" or "Failed".
  std::function<std::string(const json::Value& pod)> fate = [](const json::Value&) { return "Running"; };
  bool stopped = false;  // nothing happens to pods any more

 private:
  Task<Result<void>> step(std::string key);
  client::Client& client_;
  client::Informer pods_;
  client::WorkQueue queue_;
  int next_node_ = 0, next_address_ = 1;
};

class ControllersTest : public testing::Test {
 protected:
  ControllersTest();
  ~ControllersTest() override;

  // Runs the body on a fresh loop with the controllers of `options` and the nodes' stand-in.
  void run(std::function<Task<void>()> body);

  // Polls until the condition holds; false after a generous limit.
  Task<bool> until(std::function<Task<bool>()> condition);
  Task<bool> until_gone(client::Resource r, std::string ns, std::string name);
  Task<json::Value> get(client::Resource r, std::string ns, std::string name);  // null when absent
  Task<std::vector<json::Value>> list(client::Resource r, std::string ns, std::string label_selector = {});
  // Expects success.
  Task<json::Value> create(client::Resource r, std::string ns, json::Value object);
  Task<void> patch(client::Resource r, std::string ns, std::string name, std::string merge_patch);
  Task<bool> until_status(client::Resource r, std::string name, std::string field, std::int64_t value);
  Task<void> ensure_namespace(std::string name);
  Task<void> add_node(std::string name, std::string labels = "{}");

  ManagerOptions options;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Nodes> nodes_;
  std::unique_ptr<ControllerManager> manager_;
  std::unique_ptr<apiserver::ApiServer> server_;

 private:
  std::string directory_;
  std::unique_ptr<store::Store> store_;
};

json::Value parse(const std::string& text);  // of a test's own JSON: must be good
json::Value deployment(const std::string& name, int replicas, const std::string& image, const std::string& extra = "");

}  // namespace lab::controllers
