// The datagrams on UDP 6783: a head of 24 bytes, the text, and, when it is sealed, a tag of 16.
//
//    0  version (4 bits), kind (4 bits)        4  from: name of the peer that made it
//    1  flags                                 10  to: name of the peer it is for
//    2  hops left; the only field that a      16  counter: nonce and number against replays; 0 when not sealed
//       peer on the way changes
//    3  key id                                24  text
//
// The whole head but the hops is authenticated with the text. Numbers are big-endian.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "overlay-net/mesh/gossip.h"

namespace lab::overlay::wire {

inline constexpr std::uint16_t kPort = 6783;
inline constexpr std::uint8_t kVersion = 1, kHops = 8;
inline constexpr std::size_t kHead = 24, kTag = 16;
inline constexpr std::size_t kIpUdp = 28;  // the headers below ours

enum class Kind : std::uint8_t {
  kPacket = 1,    // one IP packet
  kFragment = 2,  // a part of one: FragmentHead, bytes
  kProbe = 3,     // Probe, then zeros up to the size that is tried
  kProbeAnswer = 4,
  kHello = 5,        // handshake.h
  kHelloAnswer = 6,  // handshake.h
  kNoSession = 7,    // "I cannot read what you send: begin anew". Not authenticated, so a hint at most.
};
inline constexpr std::uint8_t kNeedsChecksum = 1;  // the packet's TCP or UDP checksum is not filled in
inline constexpr std::uint8_t kSealed = 2;

struct Head {
  Kind kind = Kind::kPacket;
  std::uint8_t flags = 0, hops = kHops, key = 0;
  PeerName from, to;
  std::uint64_t counter = 0;
  bool operator==(const Head&) const = default;
};

void write(const Head& head, std::uint8_t* out);  // kHead bytes
// Empty when it is cut short, of another version, of an unknown kind or with unknown flags.
std::optional<Head> read(std::span<const std::uint8_t> datagram);

struct FragmentHead {
  static constexpr std::size_t kSize = 8;
  std::uint32_t packet = 0;  // which packet of this sender
  std::uint16_t offset = 0, total = 0;
};
void write(const FragmentHead& head, std::uint8_t* out);
std::optional<FragmentHead> read_fragment(std::span<const std::uint8_t> text);  // what lies outside of total is refused

struct Probe {
  static constexpr std::size_t kSize = 12;
  std::uint64_t number = 0;
  std::uint16_t size = 0;  // of the whole datagram that is tried
};
void write(const Probe& probe, std::uint8_t* out);
std::optional<Probe> read_probe(std::span<const std::uint8_t> text);

}  // namespace lab::overlay::wire
