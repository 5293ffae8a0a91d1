// The datagrams on UDP 6783: a head of 24 bytes, the text, and, when it is sealed, a tag of 16.
//
//    0  version (4 bits), kind (4 bits)        4  from: name of the peer that made it
//    1  flags                                 10  to: name of the peer it is for
//    2  hops left; the only field that a      16  counter: nonce and number against replays; 0 when not sealed
//       peer on the way changes
//    3  key id                                24  text
//
// The whole head but the hops is authenticated with the text. Numbers are big-endian.
//
// A train carries one TCP super-packet whole: datagrams with the same head, each with a TrainHead and a piece. Sealed,
// they have one tag for all, behind the last byte of the packet, and the authenticated head goes as far as the packet's
// size. One that is lost takes the whole train with it, so trains go only where hardly anything is lost: peers tell
// each other in their probes how many came incomplete.
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
  kTrain = 8,        // TrainHead, a piece; the counter is the train's number also when it is not sealed
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

struct TrainHead {
  static constexpr std::size_t kSize = 8, kAuthenticated = kHead + 4;
  static constexpr std::size_t kUnit = 16;  // offsets are counted in these
  std::uint16_t segment = 0;                // TCP payload per packet that the sending kernel wants
  std::uint16_t size = 0;                   // of the packet
  std::uint32_t offset = 0;                 // of the piece, in bytes; a multiple of kUnit
  bool operator==(const TrainHead&) const = default;
};
void write(const TrainHead& head, std::uint8_t* out);
// `tag`: bytes that follow the packet. What lies outside of it is refused.
std::optional<TrainHead> read_train(std::span<const std::uint8_t> text, std::size_t tag);

struct Probe {
  static constexpr std::size_t kSize = 12;
  static constexpr std::uint16_t kTakesTrains = 0x8000;
  std::uint64_t number = 0;
  std::uint16_t size = 0;    // of the whole datagram that is tried
  std::uint16_t trains = 0;  // kTakesTrains, and how many of them came incomplete, modulo 2^15; 0 of earlier versions
};
void write(const Probe& probe, std::uint8_t* out);
std::optional<Probe> read_probe(std::span<const std::uint8_t> text);

// What a peer tells of itself in its probes, where they are sealed: behind the Probe one byte of length and the note.
// Earlier versions have zeros there: an empty one.
inline constexpr std::size_t kMaxNote = 63;
std::size_t write_note(std::string_view note, std::uint8_t* out);  // bytes written, at most 1 + kMaxNote
std::string_view read_note(std::span<const std::uint8_t> text);    // of a whole probe; "" where there is none

}  // namespace lab::overlay::wire
