// Wiring: the devices between the node's bridge and a sandbox.
#pragma once

#include <string>

#include "base/netlink/netlink.h"
#include "overlay-net/cni/protocol.h"

namespace lab::overlay {

struct Sandbox {
  std::string container_id, ifname, netns;
};

struct Wired {
  std::string host_device;
  MacAddress bridge_mac, host_mac, pod_mac;
};

// The node's end of the pair: the same for the same sandbox, so that DEL needs no memory. At most 15 characters.
std::string host_device_name(const Sandbox& sandbox);

Result<Wired> wire_pod(const Sandbox& sandbox, const PodNetwork& network);
Result<void> unwire_pod(const Sandbox& sandbox);                            // absent is fine
Result<void> check_pod(const Sandbox& sandbox, const PodNetwork& network);  // an error says what differs
Result<void> loopback_up(const std::string& netns);

}  // namespace lab::overlay
