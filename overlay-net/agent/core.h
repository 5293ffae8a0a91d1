// AgentCore: what the overlay agent knows and does on this node, without the API server and without HTTP.
//
// Thread-safe: the node watcher and the plugin's requests come on different threads; one lock covers each call. Calls
// block for milliseconds at most (netlink, nftables, one fdatasync). Works on the network namespace of the thread that
// makes it; all threads that call it must be in the same one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "overlay-net/cni/conflist.h"
#include "overlay-net/cni/protocol.h"
#include "overlay-net/datapath/datapath.h"
#include "overlay-net/datapath/firewall.h"
#include "overlay-net/flow_cache/flow_cache.h"
#include "overlay-net/ipam/range_allocator.h"
#include "overlay-net/path/paths.h"
#include "overlay-net/policy/wired_pod.h"
#include "overlay-net/ring/ring_allocator.h"

namespace lab::overlay {

// Whose the node's own address out of the ring is.
inline constexpr const char* kGatewayOwner = "node/gateway";

struct CoreOptions {
  std::string node_name;
  IpAddress underlay;  // this node's address, as its peers reach it
  std::uint32_t vni = 1;
  std::uint16_t port = 6784;
  std::string state_dir = "/var/lib/lab/overlay";
  std::string socket_path = kAgentSocket;  // written into the plugin's configuration
  std::string cni_dir = kConflistDirectory;
  bool flow_cache = true;  // established connections of pods go past netfilter, where the kernel can do so
};

class AgentCore {
 public:
  // Takes in what the state directory remembers: pod range, peers, allocations.
  explicit AgentCore(CoreOptions options);

  // What this node shall be and who the others are. Takes effect with reconcile().
  void set_pod_cidr(Cidr pod_cidr);
  void set_peers(std::vector<Peer> peers);
  // Addresses come out of the ring, instead of a range of this node's own, and peers' ranges are what the ring says.
  // Before the first reconcile(). The ring outlives this.
  void use_ring(ring::RingAllocator& ring);

  // Peers' packets take the path that these say; with encryption none but theirs. Before the first reconcile(). They
  // outlive this.
  void use_paths(Paths& paths);
  // Peers, by name, that are reached through another one, and that one's name.
  void set_next_hops(std::map<std::string, std::string> next_hops);

  // Brings kernel, firewall and plugin configuration to the wanted state. kUnavailable while the pod range is unknown.
  Result<void> reconcile();

  Result<PodNetwork> add_pod(const PodRequest& request);
  Result<PodNetwork> find_pod(const std::string& container_id, const std::string& ifname);
  Result<void> remove_pod(const std::string& container_id, const std::string& ifname);
  // Pods' devices come after add_pod() has answered: this takes new ones into the flow cache, and reconcile() does.
  void lead_new_pods();

  std::vector<policy::WiredPod> wired_pods() const;  // of Kubernetes, with their addresses

  Cidr pod_cidr() const;            // empty while it is unknown
  std::vector<Peer> peers() const;  // as set, or remembered

  bool ready() const;
  bool may_get_space() const;  // when an address was refused
  bool has_pod_cidr() const;   // set, or remembered
  // A new WireGuard key before its time, with the next reconcile()s; kConflict where there is none.
  Result<void> change_key();
  bool changes_key() const;  // it is about to: reconcile() again within a second

  json::Value status() const;
  std::string metrics() const;  // Prometheus text
  MacAddress vtep_mac() const { return vtep_mac_of(options_.node_name); }
  const CoreOptions& options() const { return options_; }

  // The same for a name on every node: a device made anew keeps its MAC and peers need not learn it.
  static MacAddress vtep_mac_of(const std::string& node_name) { return MacAddress::from_seed("vtep " + node_name); }

 private:
  void open_flow_cache();
  void lead_new_pods_locked();
  Result<void> reconcile_locked();
  Result<void> open_parts();
  void prepare_wireguard(const std::vector<Peer>& peers);
  json::Value wireguard_status() const;
  Result<void> update_firewall();
  void remember();
  void recall();
  std::vector<HostPort> host_ports() const;
  PodNetwork network_of(const Allocation& a) const;
  Failure not_ready() const;

  const CoreOptions options_;
  mutable std::mutex mutex_;
  Cidr pod_cidr_;
  std::vector<Peer> peers_;
  std::vector<Peer> programmed_;  // those of peers_ at the last reconcile that went well
  std::shared_ptr<Allocator> allocator_;
  ring::RingAllocator* ring_ = nullptr;
  IpAddress gateway_;  // with a ring: the node's own address out of it
  Paths* paths_ = nullptr;
  std::map<std::string, std::string> next_hops_;
  std::optional<Datapath> datapath_;
  std::optional<WireguardTunnel> wireguard_;  // with encryption
  std::vector<std::string> wireguard_warnings_;
  std::optional<FlowCache> flows_;
  std::string flows_off_;  // why there is none; "" before the first reconcile
  ReconcileReport report_;
  std::string firewall_;    // the script applied last
  std::string remembered_;  // the state file's content
  std::string problem_;     // of the last reconcile; "" when it went well
  bool ready_ = false;
};

}  // namespace lab::overlay
