// OverlayAgent: the pod network of one node, kept up from Nodes and offered to the CNI plugin.
//
//   OverlayAgent agent({.core = {...}, .client = &client});
//   LAB_CHECK(agent.start(scope));
//
// With mesh options it is a peer of the mesh as well: it announces address, range and MAC there, and whom it hears of
// is a peer of the datapath, also while no API server answers or where there is none. With a client it watches Nodes:
// its own spec.podCIDR is the range, the others are peers; its own address and vxlan MAC are published as annotations
// of its Node; NetworkPolicies hold for its pods. Without one (or while the API server is away) it works with what
// set_peers() and its state directory say. Serves overlay-net/cni/protocol.h, /v1/status, /v1/net and /metrics on its
// socket. Made and started on the scope's loop; it must outlive the scope's tasks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/client/informer.h"
#include "overlay-net/agent/core.h"
#include "overlay-net/mesh/mesh.h"
#include "overlay-net/policy/agent.h"

namespace lab::overlay {

inline constexpr const char* kUnderlayAnnotation = "overlay.lab/underlay-address";
inline constexpr const char* kVtepMacAnnotation = "overlay.lab/vtep-mac";

struct AgentOptions {
  CoreOptions core;
  client::Client* client = nullptr;
  Cidr pod_cidr;                               // fixed range; empty: Node.spec.podCIDR
  Cidr cluster_cidr;                           // of all pods; for people
  std::optional<MeshOptions> mesh;             // none: Nodes and set_peers() alone
  std::string mesh_off;                        // without a mesh: why
  int status_port = 0;                         // of 127.0.0.1, for status and metrics; 0: the socket only
  Duration resync = std::chrono::seconds(30);  // how soon a change made behind our back is put right
};

class OverlayAgent {
 public:
  explicit OverlayAgent(AgentOptions options);
  ~OverlayAgent();

  Result<void> start(Scope& scope);  // fails when the socket cannot be served
  void set_peers(std::vector<Peer> peers);
  bool ready() const { return core_.ready(); }
  json::Value status() const { return core_.status(); }
  json::Value report() const;  // all of `lab net report`; on the agent's loop

  // Removes devices, firewall table and plugin configuration of this node; keeps the state directory.
  static Result<void> clean_up(const std::string& cni_dir = kConflistDirectory);

 private:
  Task<void> keep_reconciled(std::stop_token stop);
  Task<Result<void>> publish();
  Task<void> serve(http::Request request, http::ResponseWriter& writer);
  void take_peers();
  std::vector<Peer> take_nodes();
  void hear();
  void announce();

  AgentOptions options_;
  AgentCore core_;
  std::unique_ptr<client::Informer> nodes_;
  std::unique_ptr<policy::PolicyAgent> policy_;  // with a client only
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> local_server_;  // on status_port
  std::unique_ptr<Mesh> mesh_;
  std::optional<std::vector<Peer>> given_;  // by set_peers()
  std::vector<Peer> heard_;                 // through the mesh
  Loop* loop_ = nullptr;
  Event changed_;
  bool dirty_ = true;
};

// A peer as a Node object describes it; what is missing in the annotations is taken from the status and the name.
Peer peer_of_node(const json::Value& node);

}  // namespace lab::overlay
