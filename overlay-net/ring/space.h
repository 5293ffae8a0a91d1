// Space: which addresses of the spans that a peer owns are in use, which it gives next, and which it can give away.
//
// Plain bookkeeping without I/O. The first and the last address of the whole range are never given.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "overlay-net/ring/state.h"

namespace lab::overlay::ring {

class Space {
 public:
  explicit Space(const Cidr& range);

  // In use from now on, whether its span is owned (yet) or not. False when it is in use already.
  bool claim(std::uint32_t address) { return used_.insert(address).second; }
  void give_back(std::uint32_t address) { used_.erase(address); }
  // A free address out of these spans; each in turn, so that one just given back rests as long as possible.
  std::optional<std::uint32_t> take(const std::vector<Span>& spans);
  void set_cursor(std::uint32_t last_given) { cursor_ = last_given; }

  const std::set<std::uint32_t>& used() const { return used_; }
  std::uint64_t free_in(const Span& span) const;
  // What to give to a peer that asks: of the longest run of free addresses the upper half, cut to a block that one
  // route covers; the last address only when there is no other. Nothing when all is in use.
  std::optional<Span> donation(const std::vector<Span>& spans) const;

 private:
  bool usable(std::uint32_t address) const { return address != first_ && address != last_ && !used_.contains(address); }
  std::uint32_t first_, last_;
  std::uint32_t cursor_ = 0;  // given last
  std::set<std::uint32_t> used_;
};

// The fewest prefixes that cover exactly this span.
std::vector<Cidr> prefixes(const Span& span);

}  // namespace lab::overlay::ring
