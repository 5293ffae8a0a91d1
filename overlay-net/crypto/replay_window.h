// ReplayWindow: which packet counters came already (RFC 6479: a ring of blocks instead of a shifting bitmap).
//
// Counters begin at 1. A packet that is more than kSpan behind the newest counts as come already: reordering that
// strong is taken for a replay. Not thread-safe; no allocation.
#pragma once

#include <array>
#include <cstdint>

namespace lab::overlay {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kBlockBits = 64, kBlocks = 128;
  static constexpr std::uint64_t kSpan = (kBlocks - 1) * kBlockBits;

  // Whether accept() would take it. For a look before the costly check whether the packet is authentic.
  bool is_new(std::uint64_t counter) const {
    if (counter == 0 || (newest_ >= kSpan && counter <= newest_ - kSpan)) return false;
    return counter > newest_ || !(block(counter) & bit(counter));
  }
  // To be called once the packet is known to be authentic: else a forged counter would push out the real ones.
  bool accept(std::uint64_t counter) {
    if (!is_new(counter)) return false;
    if (counter > newest_) {
      const std::uint64_t from = newest_ / kBlockBits, to = counter / kBlockBits;
      if (to - from >= kBlocks) {
        blocks_.fill(0);
      } else {
        for (std::uint64_t b = from + 1; b <= to; ++b) blocks_[b % kBlocks] = 0;
      }
      newest_ = counter;
    }
    block(counter) |= bit(counter);
    return true;
  }
  std::uint64_t newest() const { return newest_; }

 private:
  static std::uint64_t bit(std::uint64_t counter) { return std::uint64_t(1) << (counter % kBlockBits); }
  std::uint64_t& block(std::uint64_t counter) { return blocks_[counter / kBlockBits % kBlocks]; }
  std::uint64_t block(std::uint64_t counter) const { return blocks_[counter / kBlockBits % kBlocks]; }

  std::uint64_t newest_ = 0;
  std::array<std::uint64_t, kBlocks> blocks_{};
};

}  // namespace lab::overlay
