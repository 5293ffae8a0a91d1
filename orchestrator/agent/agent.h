// Agent: what makes a machine a node: it runs the pods that the API server assigned to it, and those of its own
// manifest directory, through the container runtime, and reports on them. The kubelet's role.
//
//   Agent agent(options, &api, loop);
//   auto started = agent.start(scope);        // on the loop's thread
//   ...
//   co_await scope.close();                   // pods go on running; the next agent takes them over
//
// One loop; file work runs in a pool of threads of its own, the HTTPS server on its connection threads. The agent and
// what it was given must outlive the closing of the scope. Stopping, also by kill -9, never disturbs a running pod.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/io/scope.h"
#include "orchestrator/agent/options.h"
#include "orchestrator/client/client.h"
#include "orchestrator/client/informer.h"

namespace lab::agent {

class Agent {
 public:
  // api: null for a node without a control plane (static pods only).
  Agent(AgentOptions options, client::Client* api, Loop& loop);
  ~Agent();

  // Starts everything in the scope. Fails where an option cannot work (directories, the port, certificates); a runtime
  // or API server that is away is no failure: the agent waits for them.
  Result<void> start(Scope& scope);

  int port() const;    // of the HTTPS server; 0 when none runs
  bool ready() const;  // the node's Ready condition, as last seen
  Result<void> reload_tls(std::string certificate_pem, std::string key_pem);  // for the serving certificate's renewal
  Result<void> reload_client_ca(std::string ca_pem);  // for the rotation of the cluster's CA; any thread
  // Service account tokens in the pods' files are asked for anew: the key that signs them is being replaced. Any thread.
  void renew_tokens();
  // The pods of this node with the statuses as the agent knows them.
  std::vector<client::ObjectPtr> pods() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::agent
