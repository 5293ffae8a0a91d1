// WireguardOffer: what a node tells each of its peers of its WireGuard, in the note of the sleeve's heartbeats.
//
// The note is sealed under keys that only the two nodes have and that were agreed upon with a proof of who they are
// (overlay-net/crypto), so a key is believed exactly as far as the peer is. Pure.
//
//   0  state     1  UDP port (big-endian)     3  public key; state alone where there is none
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lab::overlay {

struct WireguardOffer {
  enum class State : std::uint8_t {
    kSilent = 0,    // nothing was said yet, or an earlier version that knows no WireGuard
    kReady = 1,     // here is the key
    kNoKernel = 2,  // the kernel has none
    kFailed = 3,    // the kernel has it, and it could not be set up
    kChanging = 4,  // the key is about to change: send nothing this way for a while
  };
  State state = State::kSilent;
  std::uint16_t port = 0;
  std::string key;  // public, 32 raw bytes
  bool operator==(const WireguardOffer&) const = default;
};

std::string encode(const WireguardOffer& offer);
WireguardOffer decode_offer(std::string_view note);  // kSilent for what cannot be read, and for a key that is none

// Why packets cannot go through WireGuard between the two, for people; "" when nothing is in the way. `problem`: of
// this node, where its state is kFailed.
std::string obstacle(const WireguardOffer& own, const WireguardOffer& peers, const std::string& problem = {});

}  // namespace lab::overlay
