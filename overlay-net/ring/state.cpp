#include "overlay-net/ring/state.h"

#include <algorithm>
#include <bit>
#include <cstdio>

namespace lab::overlay::ring {
namespace {

template <class T>
auto place_of(std::vector<T>& items, const MemberId& id) {
  return std::ranges::lower_bound(items, id, {}, &T::id);
}

template <class T>
const T* find(const std::vector<T>& items, const MemberId& id) {
  auto at = std::ranges::lower_bound(items, id, {}, &T::id);
  return at != items.end() && at->id == id ? &*at : nullptr;
}

template <class T>
T& add(std::vector<T>& items, const MemberId& id) {
  auto at = place_of(items, id);
  if (at != items.end() && at->id == id) return *at;
  return *items.insert(at, T{.id = id});
}

}  // namespace

std::string MemberId::text() const {
  char out[40];
  const auto& b = name.bytes;
  int n = std::snprintf(out, sizeof out, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
  if (life) std::snprintf(out + n, sizeof out - std::size_t(n), "#%08x", life);
  return out;
}

int RingState::seat_of(const MemberId& id) const {
  if (id.life != 0) return -1;
  auto at = std::ranges::lower_bound(founders, id.name);
  return at != founders.end() && *at == id.name ? static_cast<int>(at - founders.begin()) : -1;
}

const Member* RingState::member(const MemberId& id) const {
  return find(members, id);
}

const Removal* RingState::removal(const MemberId& id) const {
  return find(removals, id);
}

Member& RingState::add_member(const MemberId& id) {
  return add(members, id);
}

Removal& RingState::add_removal(const MemberId& id) {
  return add(removals, id);
}

bool RingState::registered(const MemberId& id) const {
  if (!has_ring()) return false;
  if (seat_of(id) >= 0) return true;
  const Member* m = member(id);
  return m && static_cast<std::size_t>(std::popcount(m->known)) >= quorum();
}

Span RingState::span(std::size_t token) const {
  return {tokens[token].start, token + 1 < tokens.size() ? tokens[token + 1].start : end()};
}

std::vector<Span> RingState::spans_of(const MemberId& id) const {
  std::vector<Span> out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].owner != id) continue;
    Span s = span(i);
    if (!out.empty() && out.back().end == s.begin) {
      out.back().end = s.end;
    } else {
      out.push_back(s);
    }
  }
  return out;
}

bool RingState::removals_adopted() const {
  for (const auto& r : removals) {
    if (r.done) continue;
    std::size_t seats = 0;
    for (const auto& id : r.adopted) seats += seat_of(id) >= 0;
    if (seats < quorum()) return false;
    for (const auto& m : members) {
      if (!removed(m.id) && !std::ranges::binary_search(r.adopted, m.id)) return false;
    }
  }
  return true;
}

RingState make_state(Cidr range, std::vector<PeerName> founders) {
  std::ranges::sort(founders);
  auto twice = std::ranges::unique(founders);
  founders.erase(twice.begin(), twice.end());
  RingState out{.range = range.network(), .founders = std::move(founders)};
  out.votes.resize(out.founders.size());
  return out;
}

void make_ring(RingState& state, std::uint64_t initial) {
  state.initial = initial;
  for (const auto& name : state.founders) state.add_member({name, 0}).known = ~0ull >> (64 - state.founders.size());
  // In units of 1/256 of the range, so that a share takes few routes.
  std::uint64_t unit = std::max<std::uint64_t>(1, state.range.size() >> 8), units = state.range.size() / unit;
  auto shares = static_cast<std::uint64_t>(std::popcount(initial)), given = std::uint64_t(0);
  state.tokens.clear();
  for (std::size_t i = 0; i < state.founders.size(); ++i) {
    if (!(initial >> i & 1)) continue;
    auto start = state.begin() + units * given++ / shares * unit;
    state.tokens.push_back({static_cast<std::uint32_t>(start), {state.founders[i], 0}, 1, 0});
  }
  for (std::size_t i = 0; i < state.tokens.size(); ++i) {
    state.tokens[i].free = static_cast<std::uint32_t>(state.span(i).size());
  }
}

}  // namespace lab::overlay::ring
