// Who a peer is, as it says itself when a connection is made and in the topology.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "overlay-net/mesh/gossip.h"
#include "overlay-net/mesh/wire.h"

namespace lab::overlay {

inline constexpr std::uint16_t kMeshPort = 6783;

inline constexpr std::size_t kMaxNickname = 253, kMaxAddresses = 8, kMaxAddress = 64, kMaxInfo = 1024;

struct PeerIdentity {
  PeerName name;
  std::uint64_t uid = 0;               // another one for each run of the process: tells two peers of one name apart
  std::string nickname;                // the node's name, for people
  std::vector<std::string> addresses;  // "10.0.0.3:6783": where it may be dialled
  bool operator==(const PeerIdentity&) const = default;
};

// "02:5f:..", as Weave shows peers.
std::string text(const PeerName& name);
// The name of the peer on a node: nodes of one cluster differ in their names, so two peers with one name are a mistake
// that the mesh reports.
PeerName peer_name_of(std::string_view node_name);

void encode(Writer& out, const PeerIdentity& v);
// kInvalid when it is cut short, larger than its bounds, or not for showing (control characters).
Result<PeerIdentity> decode_identity(Reader& in);
// Names and addresses end up on terminals and in logs.
bool is_printable(std::string_view text);

}  // namespace lab::overlay
