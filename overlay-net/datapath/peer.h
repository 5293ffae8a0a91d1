// Peer: another node, as the datapath needs to know it.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "base/netlink/address.h"

namespace lab::overlay {

struct Peer {
  std::string name;
  IpAddress underlay;   // where its tunnel packets go
  Cidr pod_cidr;        // the pods behind it
  MacAddress vtep_mac;  // of its vxlan device
  // Where ranges change hands (the ring): the pods behind it, instead of pod_cidr; may be none for now.
  std::vector<Cidr> ranges;
  bool operator==(const Peer&) const = default;
};

// The address of a node's vxlan device: the first of its range, which no pod gets.
inline IpAddress vtep_address(const Cidr& pod_cidr) {
  return pod_cidr.at(0);
}
// The address of a node's bridge: its pods' default gateway.
inline IpAddress gateway_address(const Cidr& pod_cidr) {
  return pod_cidr.at(1);
}

}  // namespace lab::overlay
