// Paths: watches over the way to each peer and says which one to take: the kernel's (fastdp) or user space (sleeve).
//
//   LAB_TRY(auto paths, Paths::start({...}));
//   paths->on_change([] { reconcile soon; });
//   paths->set_peers(peers);                      // after the datapath was programmed
//   datapath.use_sleeve(paths->sleeved());
//
// Sends a full-size heartbeat over the VXLAN to every peer each `heartbeat`, answers those of others, and keeps a
// Sleeve ready. Without a TAP device, or where its port is taken, there is no second path, which status() says; it is
// tried again every few heartbeats.
//
// With an authenticator nothing goes out unencrypted: the kernel's path is WireGuard's device, for those peers that
// both have it with (offer_wireguard, overlay-net/wireguard), and the sleeve, sealed, for the others; then a TAP device
// is a must. The sleeve carries the nodes' WireGuard keys to each other. A peer begins with the sleeve, but for those
// that adopt() names.
//
// A thread of its own between start() and the end of the object; start() in the calling thread's network namespace. The
// other calls come from any thread. on_change's function runs on that thread and must not call back.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "overlay-net/datapath/peer.h"
#include "overlay-net/path/chooser.h"
#include "overlay-net/sleeve/sleeve.h"
#include "overlay-net/wireguard/tunnel.h"

namespace lab::overlay {

struct PathOptions {
  std::string vxlan = "lab-vxlan", sleeve = kSleeveDevice, wireguard = kWireguardDevice;
  MacAddress self;     // of this node's vxlan device: its name towards peers
  IpAddress underlay;  // of this node
  std::uint16_t port = wire::kPort;
  // Null: the kernel's path, unencrypted, and the sleeve where that fails.
  std::shared_ptr<const Authenticator> authenticator;
  std::chrono::milliseconds heartbeat{1000}, restless{300};
  PathChooser::Limits limits;
};

struct PathStatus {
  std::string peer;
  Path path = Path::kFastdp;
  bool established = false;  // heartbeats are answered over that path
  bool encrypted = false;
  unsigned mtu = 0;  // largest packet that goes over it in one piece
  std::string via;   // the peer that forwards; "" when directly
  std::string why;   // of anything that is not as usual; "" else
};

class Paths {
 public:
  static Result<std::unique_ptr<Paths>> start(PathOptions options);
  ~Paths();

  // `mtu`: of pods. `next_hops`: names of peers that are reached through another one (the mesh's routes).
  void set_peers(const std::vector<Peer>& peers, unsigned mtu,
                 const std::map<std::string, std::string>& next_hops = {});
  void on_change(std::function<void()> f);

  // Of this node's WireGuard. The path is decided upon at once; peers are told with the next set_peers(), when the
  // routes are as they have to be.
  void offer_wireguard(const WireguardOffer& own, const std::string& problem);
  std::map<std::string, WireguardOffer> wireguard_offers() const;  // of peers, by name
  // Before the first set_peers(): peers that the kernel reaches through WireGuard since a run before, with their keys.
  void adopt(std::map<std::string, WireguardOffer> known);
  std::set<std::string> by_wireguard() const;  // names of those whose packets go through WireGuard's device
  bool may_leave_wireguard() const;            // each of those is heard on the sleeve, too, or not at all
  std::string shared_secret() const;           // the authenticator's

  std::set<std::string> sleeved() const;   // names of those whose packets go through the sleeve's device
  std::vector<PathStatus> status() const;  // by name
  bool encrypts() const;
  std::string metrics() const;  // Prometheus text

 private:
  class Watch;
  explicit Paths(std::unique_ptr<Watch> watch);
  std::unique_ptr<Watch> watch_;
};

}  // namespace lab::overlay
