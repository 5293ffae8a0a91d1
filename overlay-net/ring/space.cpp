#include "overlay-net/ring/space.h"

#include <algorithm>
#include <bit>
#include <iterator>

namespace lab::overlay::ring {

Space::Space(const Cidr& range)
    : first_(range.network().address.v4_value()), last_(static_cast<std::uint32_t>(first_ + (range.size() - 1))) {}

std::optional<std::uint32_t> Space::take(const std::vector<Span>& spans) {
  auto search = [&](std::uint64_t from, std::uint64_t to) -> std::optional<std::uint32_t> {
    for (auto a = from; a < to; ++a) {
      if (usable(static_cast<std::uint32_t>(a))) return static_cast<std::uint32_t>(a);
    }
    return std::nullopt;
  };
  std::uint64_t after = std::uint64_t(cursor_) + 1;
  std::optional<std::uint32_t> found;
  for (const auto& s : spans) {
    if (!found) found = search(std::max(s.begin, after), s.end);
  }
  for (const auto& s : spans) {
    if (!found) found = search(s.begin, std::min(s.end, after));
  }
  if (found) {
    cursor_ = *found;
    used_.insert(*found);
  }
  return found;
}

std::uint64_t Space::free_in(const Span& span) const {
  if (span.begin >= span.end) return 0;
  auto from = used_.lower_bound(static_cast<std::uint32_t>(span.begin));
  auto to = span.end > 0xffffffff ? used_.end() : used_.lower_bound(static_cast<std::uint32_t>(span.end));
  auto taken = static_cast<std::uint64_t>(std::distance(from, to));
  for (auto never : {first_, last_}) taken += never >= span.begin && never < span.end && !used_.contains(never);
  return span.size() - taken;
}

std::optional<Span> Space::donation(const std::vector<Span>& spans) const {
  Span longest;
  auto consider = [&](std::uint64_t begin, std::uint64_t end) {
    if (end > begin && end - begin > longest.size()) longest = {begin, end};
  };
  for (const auto& s : spans) {
    auto at = s.begin;
    auto taken = [&](std::uint64_t address) {
      if (address < s.begin || address >= s.end) return;
      consider(at, address);
      at = address + 1;
    };
    taken(first_);
    for (auto u = used_.lower_bound(static_cast<std::uint32_t>(s.begin)); u != used_.end() && *u < s.end; ++u) {
      if (*u != first_ && *u != last_) taken(*u);
    }
    taken(last_);
    consider(at, s.end);
  }
  if (longest.size() == 0) return std::nullopt;
  for (auto block = std::bit_floor(std::max<std::uint64_t>(1, longest.size() / 2));; block /= 2) {
    auto end = longest.end & ~(block - 1);
    if (end >= longest.begin + block) return Span{end - block, end};
  }
}

std::vector<Cidr> prefixes(const Span& span) {
  std::vector<Cidr> out;
  for (auto at = span.begin; at < span.end;) {
    auto block = std::bit_floor(span.end - at);
    if (at) block = std::min(block, at & (~at + 1));
    out.push_back({IpAddress::v4(static_cast<std::uint32_t>(at)), 32 - std::countr_zero(block)});
    at += block;
  }
  return out;
}

}  // namespace lab::overlay::ring
