// Connection tracking entries of the calling thread's network namespace: looking through and removing them
// (nfnetlink's ctnetlink, as conntrack(8) does).
//
// Used to forget UDP flows whose translation points to an endpoint that is gone: without a handshake, a client that
// keeps sending would stay bound to it for ever. IPv4 only.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab {

struct ConntrackFlow {
  std::uint8_t protocol = 0;                            // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP
  IpAddress source, destination;                        // as the first packet was sent
  std::uint16_t source_port = 0, destination_port = 0;  // host order
  IpAddress reply_source;                               // who answers: the endpoint, after destination NAT
  std::uint16_t reply_source_port = 0;
};

Result<std::vector<ConntrackFlow>> conntrack_flows(std::uint8_t protocol);
// Removes the entries that match; says how many. An entry that went by itself meanwhile is fine.
Result<int> conntrack_remove(std::uint8_t protocol, const std::function<bool(const ConntrackFlow&)>& match);

}  // namespace lab
