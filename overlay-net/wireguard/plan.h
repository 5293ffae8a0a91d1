// What has to be changed on a WireGuard device so that it has these peers and no others. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/netlink/wireguard.h"

namespace lab::overlay {

struct WireguardTarget {
  std::string name;  // of the node
  std::string key;   // as it told itself
  IpAddress underlay;
  std::uint16_t port = 0;
  std::vector<Cidr> ranges;  // of its pods, and of its own packets
};

struct WireguardPlan {
  std::vector<WireguardPeer> set;     // new, or another than the device has
  std::vector<std::string> remove;    // public keys
  std::vector<std::string> warnings;  // who is left out, and why
};

// A key that two nodes name is given to neither: it is the one's and not the other's, and who that is cannot be seen
// here. A range that two nodes have stays with the one that has it in the device already.
WireguardPlan plan_wireguard(const WireguardState& now, const std::vector<WireguardTarget>& wanted,
                             const std::string& shared_secret);

// The same on both sides; "" where there is no shared secret, as with certificates.
std::string preshared_key(const std::string& shared_secret, const std::string& one_key, const std::string& other_key);

}  // namespace lab::overlay
