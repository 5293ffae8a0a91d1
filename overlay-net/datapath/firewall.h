// Firewall: the overlay's nftables table `ip lab-overlay`: masquerading of what leaves the pod network, and host ports.
//
// Pods keep their addresses towards each other and are seen as their node by everything else. A host port is a port of
// the node that leads to a pod (the CNI capability portMappings). With encryption it keeps pods' packets off every
// other way. apply() replaces the table's content in one transaction; connections that are up stay up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::overlay {

struct HostPort {
  std::string protocol;  // "tcp", "udp", "sctp"
  std::uint16_t host_port = 0;
  IpAddress host_ip;  // empty: every address of the node
  IpAddress pod_ip;
  std::uint16_t pod_port = 0;
  bool operator==(const HostPort&) const = default;
};

struct FirewallState {
  std::string bridge = "lab0";
  Cidr pod_cidr;                    // of this node
  std::vector<Cidr> cluster_cidrs;  // of all nodes: no masquerading towards them
  std::vector<HostPort> host_ports;
  // Packets of the tunnel itself (from or to this address and UDP port) are not tracked: each flow of pods within has
  // its own entry already. Empty: none is known.
  IpAddress underlay;
  std::uint16_t tunnel_port = 0;
  // Packets of connections that the flow cache may lead get its mark (flow_cache.h).
  bool marks_established = false;
  // Pods' packets go to other nodes and come from them through these devices alone, also while they are not there;
  // none: through any.
  std::vector<std::string> only_through;
};

// The script that makes the table so, whatever it was.
std::string firewall_script(const FirewallState& state);
Result<void> apply_firewall(const FirewallState& state);  // in the calling thread's network namespace
Result<void> remove_firewall();

}  // namespace lab::overlay
