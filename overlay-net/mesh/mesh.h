// Mesh: this node's peer, over TCP. It listens, dials, shakes hands, and hands the rest to the Router.
//
//   Mesh mesh({.node_name = "node1", .listen = "10.0.0.1", .peers = {"10.0.0.2"}, .credentials = ...});
//   Gossip& ring = mesh.join("ipam", gossiper);
//   mesh.start(scope);
//
// Made, started and called on the scope's loop; it must outlive the scope's tasks. When the port cannot be had it says
// so in status() and tries again; peers can still be dialled. Connections are encrypted (handshake.h, frames.h).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/io/listener.h"
#include "base/io/scope.h"
#include "base/io/sync.h"
#include "base/json.h"
#include "overlay-net/mesh/handshake.h"
#include "overlay-net/mesh/router.h"
#include "overlay-net/mesh/targets.h"

namespace lab::overlay {

struct MeshOptions {
  std::string node_name;
  std::string listen = "0.0.0.0";      // the node's own address, in a lab
  int port = kMeshPort;                // 0: any free one
  std::vector<std::string> advertise;  // "HOST:PORT" where others reach it; empty: listen and port
  std::vector<std::string> peers;      // "HOST" or "HOST:PORT" to begin with
  // Asked for each connection, since certificates are renewed. Blocks for a file or two at most.
  std::function<Result<std::shared_ptr<const MeshCredentials>>()> credentials;
  RouterTimes times;
  BackOff back_off;
  Duration handshake_limit = std::chrono::seconds(10);
  // How long the peer with the higher name leaves it to the other one to dial, when both hear of each other.
  Duration courtesy = std::chrono::seconds(2);
  std::size_t max_connections = 512;
  std::uint64_t seed = 0;  // 0: random
};

// What another peer announces, as of now.
struct Announcement {
  PeerIdentity id;
  std::string info;
  bool operator==(const Announcement&) const = default;
};

class Mesh {
 public:
  explicit Mesh(MeshOptions options);
  ~Mesh();

  Gossip& join(std::string channel, Gossiper& gossiper) { return router_.join(std::move(channel), gossiper); }
  void start(Scope& scope);
  // Addresses that the API knows ("HOST" or "HOST:PORT"); each call replaces the last one's.
  void set_known(const std::vector<std::string>& addresses);
  void announce(std::string info);
  // Waits until what was to be sent is with the kernel, and a moment for the neighbours to take it; two seconds at
  // most.
  Task<void> flush();
  std::vector<Announcement> announcements() const;  // of all other peers that some chain of connections leads to
  void on_change(std::function<void()> f) { on_change_ = std::move(f); }  // called after the topology changed

  const PeerIdentity& self() const { return router_.topology().self().id; }
  const Router& router() const { return router_; }
  int port() const { return port_; }
  json::Value status() const;
  std::string metrics() const;  // Prometheus text

 private:
  struct Connection;
  using ConnectionPtr = std::shared_ptr<Connection>;

  Task<void> accept_all(std::stop_token stop);
  Task<void> keep_time(std::stop_token stop);
  Task<void> stop_with(std::stop_token stop);
  Task<void> dial(std::string address);
  Task<void> serve(ConnectionPtr c);
  Task<Result<void>> talk(ConnectionPtr c);
  Task<Result<void>> greet(ConnectionPtr c);
  Task<Result<void>> read_all(ConnectionPtr c);
  Task<void> write_all(ConnectionPtr c);
  Result<void> admit(const ConnectionPtr& c, const PeerIdentity& remote);
  void bind();
  void nudge();
  PeerIdentity make_identity();
  std::size_t strangers() const;
  void enqueue(LinkId id, Message message);
  void end(const ConnectionPtr& c, Error why);
  void ended(const ConnectionPtr& c, const Error& why);
  void tell_end(const Connection& c, const Error& why);
  void look_around();
  std::string with_port(const std::string& address) const;
  json::Array connections_json() const;
  json::Array peers_json() const;
  json::Array targets_json() const;

  MeshOptions options_;
  std::string problem_;  // of listening
  std::unique_ptr<Listener> listener_;
  int port_ = 0;
  Router router_;
  Targets targets_;
  ToldOnce told_;
  Scope* scope_ = nullptr;
  Loop* loop_ = nullptr;
  std::map<LinkId, ConnectionPtr> connections_;
  LinkId next_id_ = 1;
  Event wake_;
  TimePoint sleeping_until_{};
  std::uint64_t seen_generation_ = 0;
  std::function<void()> on_change_;
  std::map<std::string, std::uint64_t> refused_;  // by reason, for metrics
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0, made_ = 0, lost_ = 0;
};

}  // namespace lab::overlay
