// A local lab's network: a bridge on this machine, a veth pair to each node, and NAT to the outside.
#pragma once

#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::bootstrap {

struct LabNetwork {
  std::string bridge;            // "lab-br0"
  Cidr subnet;                   // 192.168.77.0/24; the bridge has its first address
};

// The first bridge name and subnet that collide with no link, address or route of this machine, nor with `others`, those
// of labs whose bridge may not be there yet, or any more.
Result<LabNetwork> choose_network(const std::vector<LabNetwork>& others = {});
Result<void> make_network(const LabNetwork& network);
// eth0 in the node, with its address and default route; nothing happens when it is there.
Result<void> connect_node(const LabNetwork& network, int pid, const std::string& node, const IpAddress& address);
Result<void> remove_network(const LabNetwork& network);

}  // namespace lab::bootstrap
