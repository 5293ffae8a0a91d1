// Probes of many connections at once, each of which ends in an answer or in the packet that a node's rules blocked.
//
// A blocked connection shows as nothing, and nothing would have to be waited for. So the nodes' logged packets are
// read: every probe has a number of its own (its source port, or ICMP's identifier) by which its packet is known again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/netlink/netns.h"
#include "base/netlink/nflog.h"

namespace lab::test {

struct ProbeSpec {
  NetNs from;
  NetNs to;               // where SCTP's packets are looked for
  std::string address;    // of the destination
  std::uint8_t protocol;  // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP
  std::uint16_t port = 0;
};

// "answered" (a TCP connection, a UDP answer, a refusal of the destination itself, an SCTP packet seen there, an echo),
// "blocked ingress", "blocked egress", or "nothing".
using Outcome = std::string;

class Prober {
 public:
  // Namespaces of the nodes whose log groups are read.
  Prober(const std::vector<NetNs>& nodes, std::uint16_t group);
  std::vector<Outcome> run(const std::vector<ProbeSpec>& probes);

 private:
  std::vector<NflogReader> readers_;
  std::uint16_t next_ = 20000;
};

}  // namespace lab::test
