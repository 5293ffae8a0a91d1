// Reassembly of packets that came in fragments. Bounded: so many packets at once, each for a few seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "overlay-net/sleeve/wire.h"

namespace lab::overlay {

class Reassembly {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kPackets = 256;
  static constexpr std::chrono::seconds kPatience{3};

  // The whole packet when this was its last missing piece; valid until the next call.
  std::optional<std::span<std::uint8_t>> add(const PeerName& from, const wire::FragmentHead& head,
                                             std::span<const std::uint8_t> bytes, TimePoint now);
  std::size_t waiting() const { return packets_.size(); }

 private:
  struct Packet {
    PeerName from;
    std::uint32_t number = 0;
    TimePoint since;
    std::vector<std::uint8_t> bytes;
    std::vector<std::uint16_t> offsets;  // that came
    std::size_t have = 0;
  };
  std::deque<Packet> packets_;  // oldest first
  std::vector<std::uint8_t> whole_;
};

}  // namespace lab::overlay
