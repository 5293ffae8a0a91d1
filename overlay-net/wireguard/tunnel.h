// WireguardTunnel: this node's WireGuard device, lab-wg: its key, and the peers that have told theirs.
//
// Nothing here fails its caller: where it does not work, pods' packets go through the sleeve, and problem() says why.
// The device stays when this process ends, and with it the kernel goes on encrypting. The next one takes over the key
// that the device has, so peers need not learn another: the key is in the kernel alone, in no file. Routes, addresses
// and MTU are the datapath's. Used from one thread at a time; works on the network namespace of the thread that first
// called ensure().
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "overlay-net/wireguard/key_change.h"
#include "overlay-net/wireguard/offer.h"
#include "overlay-net/wireguard/plan.h"

namespace lab::overlay {

inline constexpr const char* kWireguardDevice = "lab-wg";

struct WireguardOptions {
  std::string device = kWireguardDevice;
  std::uint16_t port = 0;
  std::string shared_secret;  // of all nodes, where they have a password: mixed into the keys
  KeyChange::Limits key;
  // How often a kernel that has no WireGuard is asked again: somebody may install the module.
  std::chrono::steady_clock::duration ask_kernel_every = std::chrono::minutes(5);
};

class WireguardTunnel {
 public:
  using TimePoint = KeyChange::TimePoint;
  WireguardTunnel(WireguardOptions options, TimePoint now);

  // The device is there, has a key and its port. `safe` as in KeyChange.
  void ensure(TimePoint now, bool safe);
  const WireguardOffer& offer() const { return offer_; }
  const std::string& problem() const { return problem_; }
  bool draining() const { return change_.draining(); }
  void change_key() { change_.ask(); }

  // Of these (their keys are not looked at): those whose ranges the device sends somewhere, with the key it has for
  // them. For a start under traffic.
  std::map<std::string, WireguardOffer> known(const std::vector<WireguardTarget>& peers) const;

  // Adds and changes peers; who is not among them stays until prune(), so that routes can be moved in between. Who is
  // left out, and why.
  std::vector<std::string> set_peers(const std::vector<WireguardTarget>& targets);
  void prune();

 private:
  Result<void> try_ensure(TimePoint now, bool safe);
  void failed(const Error& e);

  const WireguardOptions options_;
  std::optional<Wireguard> control_;
  KeyChange change_;
  WireguardOffer offer_;
  std::string problem_, private_key_;
  WireguardState state_;             // as last read
  std::vector<std::string> remove_;  // peers that prune() removes
  TimePoint ask_kernel_{};
};

}  // namespace lab::overlay
