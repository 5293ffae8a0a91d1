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
#include <set>
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

// Addresses of pods out of the ring that all peers of the mesh share (overlay-net/ring).
struct RingOptions {
  Cidr range;                         // the same on all nodes
  std::vector<std::string> founders;  // names of the nodes that make the first ring; empty on those that join later
};

struct AgentOptions {
  CoreOptions core;
  client::Client* client = nullptr;
  Cidr pod_cidr;                               // fixed range; empty: Node.spec.podCIDR
  Cidr cluster_cidr;                           // of all pods; for people
  std::optional<RingOptions> ring;             // none: each node has a range of its own
  std::optional<MeshOptions> mesh;             // none: Nodes and set_peers() alone
  std::string mesh_off;                        // without a mesh: why
  std::optional<PathOptions> paths;            // none: the kernel's path alone. Its self is filled in
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
  Task<void> lead_new_pods(std::stop_token stop);
  Task<Result<void>> publish();
  Task<void> serve(http::Request request, http::ResponseWriter& writer);
  Task<void> change_key(http::ResponseWriter& writer);
  Task<void> serve_readers(http::Request request, http::ResponseWriter& writer);
  void take_peers();
  std::vector<Peer> take_nodes();
  void hear();
  Result<void> open_ring(Scope& scope);
  void remove_deleted_nodes(const std::vector<std::string>& names);
  Task<void> change_ring(std::string method, std::string peer, http::ResponseWriter& writer);
  Result<void> remove_from_ring(const std::string& peer);
  json::Value ring_report() const;
  void announce();
  Result<void> start_paths();
  std::map<std::string, std::string> next_hops() const;

  AgentOptions options_;
  AgentCore core_;
  std::unique_ptr<client::Informer> nodes_;
  std::unique_ptr<policy::PolicyAgent> policy_;  // with a client only
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> local_server_;  // on status_port
  std::unique_ptr<ring::RingAllocator> ring_;   // outlives the mesh
  std::unique_ptr<Mesh> mesh_;
  std::unique_ptr<Paths> paths_;
  std::optional<std::vector<Peer>> given_;   // by set_peers()
  std::map<std::string, std::string> hops_;  // of the mesh's routes
  std::vector<Peer> heard_;                  // through the mesh
  std::set<std::string> nodes_seen_;         // with a ring: to notice which are deleted
  Loop* loop_ = nullptr;
  Event changed_, wired_;
  bool dirty_ = true, new_pods_ = false;
};

// A peer as a Node object describes it; what is missing in the annotations is taken from the status and the name.
Peer peer_of_node(const json::Value& node);

}  // namespace lab::overlay
