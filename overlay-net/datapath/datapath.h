// Datapath: this node's part of the pod network in the kernel, through VXLAN (RFC 7348) with unicast entries only.
//
//   bridge lab0       <pod range>.1/24, the pods' gateway; their veth ends are its ports
//   lab-vxlan         <pod range>.0/32; per peer one onlink route, one permanent neighbour, one forwarding entry
//
//   lab-sleeve        made by overlay-net/sleeve and there while that runs; the routes of peers that use_sleeve() names
//   lab-wg            made by overlay-net/wireguard, with encryption; the routes of peers that use_wireguard() names
//
// With DatapathConfig::gateway both have that address alone, and a peer has a route for each of its ranges.
//
// reconcile() brings the kernel to the wanted state from any other and touches only what differs, so repeating it, or
// starting again with another process, disturbs no packet. It owns everything on its two devices: what is not wanted
// there is removed. Used from one thread; works on the network namespace of the thread that opened it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/netlink/netlink.h"
#include "overlay-net/datapath/peer.h"

namespace lab::overlay {

// Outer Ethernet, IPv4, UDP and VXLAN headers.
inline constexpr unsigned kVxlanOverhead = 50;
// Outer IPv4 and UDP headers, WireGuard's own and its tag. Pods of a cluster that encrypts have an MTU that leaves room
// for them on every node, also where the kernel has no WireGuard: one MTU for all, whatever way packets take.
inline constexpr unsigned kWireguardOverhead = 60;
// rtm_protocol of our routes, so that people see whose they are.
inline constexpr std::uint8_t kRouteProtocol = 80;

struct DatapathConfig {
  std::string bridge = "lab0";
  std::string vxlan = "lab-vxlan";
  std::string sleeve = "lab-sleeve";
  std::string wireguard = "lab-wg";
  std::uint32_t vni = 1;
  std::uint16_t port = 6784;
  IpAddress underlay;   // of this node
  Cidr pod_cidr;        // of this node; with a gateway: of all nodes
  MacAddress vtep_mac;  // of this node's vxlan device
  // Set where ranges change hands (the ring): the one address of both devices, out of the node's own. Pods' ranges are
  // then routed one by one, to a peer by way of its own address.
  IpAddress gateway;
  // No packet goes or comes over the vxlan device, which stays down: all peers are reached through WireGuard or the
  // sleeve, encrypted.
  bool encrypted = false;
};

struct ReconcileReport {
  int changes = 0;                    // changes made to the kernel's state; 0 when all was right
  unsigned mtu = 0;                   // of pods
  std::vector<std::string> warnings;  // peers left out and why; what the kernel lacks
};

class Datapath {
 public:
  static Result<Datapath> open(DatapathConfig config);
  // `local`: ranges of this node's pods, where the configuration has a gateway.
  Result<ReconcileReport> reconcile(const std::vector<Peer>& peers, const std::vector<Cidr>& local = {});
  // Peers, by name, whose packets the next reconcile() routes through the sleeve's device, while there is one.
  void use_sleeve(std::set<std::string> peers) { sleeved_ = std::move(peers); }
  // The same for WireGuard's device; only with encryption, where all others go through the sleeve's.
  void use_wireguard(std::set<std::string> peers) { wireguarded_ = std::move(peers); }
  const DatapathConfig& config() const { return config_; }

  // Removes all devices but the sleeve's, which is gone with its process, and so all that hangs on them; absent is fine.
  static Result<void> clean_up(const std::string& bridge = "lab0", const std::string& vxlan = "lab-vxlan");

 private:
  Datapath(DatapathConfig config, Netlink netlink) : config_(std::move(config)), netlink_(std::move(netlink)) {}
  Result<void> check_range_is_free();
  Result<unsigned> pod_mtu();
  Result<Link> ensure_bridge(ReconcileReport& report);
  Result<Link> ensure_vxlan(ReconcileReport& report);
  Result<void> ensure_sleeve(const Cidr& address, ReconcileReport& report);
  Result<void> ensure_wireguard(const Cidr& address, ReconcileReport& report);
  Result<void> ensure_tunnel(const Link& link, const Cidr& address, ReconcileReport& report);
  const Link* way_to(const Peer& peer, const Link& vxlan) const;
  Result<void> ensure_link_state(const Link& link, const MacAddress& mac, ReconcileReport& report, bool up = true);
  Result<void> ensure_only_address(const Link& link, const Cidr& address, ReconcileReport& report);
  Result<void> set_parameters(ReconcileReport& report);
  std::vector<Peer> usable(std::vector<Peer> peers, const std::vector<FdbEntry>& programmed,
                           ReconcileReport& report) const;
  Result<void> ensure_local_routes(const Link& bridge, const std::vector<Cidr>& local, ReconcileReport& report);
  IpAddress next_hop(const Peer& peer) const;
  bool ranges_move() const { return !config_.gateway.empty(); }
  Result<void> ensure_peers(const Link& vxlan, const std::vector<Peer>& peers, ReconcileReport& report);
  Result<void> ensure_routes(const Link& vxlan, const std::vector<Peer>& peers, ReconcileReport& report);

  DatapathConfig config_;
  Netlink netlink_;
  std::set<std::string> sleeved_, wireguarded_;
  std::optional<Link> sleeve_, wireguard_;  // as of the last reconcile()
  bool asked_for_module_ = false;
};

}  // namespace lab::overlay
