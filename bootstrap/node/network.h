// A local lab's network: a bridge, a veth pair to each node, and NAT to the outside; or all that in a network namespace
// of its own, without an outside.
//
// A namespace is made where it is missing (after a reboot), lives as long as its file is mounted, and goes with
// remove_network.
#pragma once

#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::bootstrap {

struct LabNetwork {
  std::string bridge;            // "lab-br0"
  Cidr subnet;                   // 192.168.77.0/24; the bridge has its first address
  // The network namespace that holds it all ("/run/lab/NAME.net"); empty: this machine's own. A network with one of its
  // own is isolated: it has no way out, and any number of them may have the same bridge name, subnet and addresses.
  std::string netns;

  bool isolated() const { return !netns.empty(); }
};

// The network of an isolated lab: the same for each, in that namespace.
LabNetwork isolated_network(const std::string& netns);

// The first bridge name and subnet that collide with no link, address or route of this machine, nor with `others`, those
// of labs whose bridge may not be there yet, or any more.
Result<LabNetwork> choose_network(const std::vector<LabNetwork>& others = {});
Result<void> make_network(const LabNetwork& network);
// eth0 in the node, with its address and default route; nothing happens when it is there.
Result<void> connect_node(const LabNetwork& network, int pid, const std::string& node, const IpAddress& address);
Result<void> remove_network(const LabNetwork& network);

}  // namespace lab::bootstrap
