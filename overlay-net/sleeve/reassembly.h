// Reassembly of what came in pieces: fragments of packets, trains. Bounded: so many at once, each for a short time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "overlay-net/sleeve/wire.h"

namespace lab::overlay {

class Reassembly {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Limits {
    std::size_t packets = 256;
    std::chrono::steady_clock::duration patience = std::chrono::seconds(3);
  };
  struct Piece {
    std::uint64_t packet = 0;  // which of this sender
    std::size_t offset = 0, total = 0;
  };
  explicit Reassembly(Limits limits) : limits_(limits) {}
  Reassembly() : Reassembly(Limits()) {}

  // The whole packet when this was its last missing piece; valid until the next call.
  std::optional<std::span<std::uint8_t>> add(const PeerName& from, const Piece& piece,
                                             std::span<const std::uint8_t> bytes, TimePoint now);
  std::size_t waiting() const { return packets_.size(); }
  std::uint32_t lost(const PeerName& from) const;  // packets that were given up
  void forget(TimePoint now);                      // those that waited too long

 private:
  struct Packet {
    PeerName from;
    std::uint64_t number = 0;
    TimePoint since;
    std::vector<std::uint8_t> bytes;
    std::vector<std::size_t> offsets;  // that came
    std::size_t have = 0;
  };
  void give_up_oldest();

  Limits limits_;
  std::deque<Packet> packets_;  // oldest first
  std::map<PeerName, std::uint32_t> lost_;
  std::vector<std::uint8_t> whole_;
};

}  // namespace lab::overlay
