// What a peer does about what it knows: votes, takes note of members, adopts removals, takes over, reports.
#include <algorithm>

#include "overlay-net/ring/paxos.h"
#include "overlay-net/ring/peer.h"

namespace lab::overlay::ring {
namespace {

void insert_sorted(std::vector<MemberId>& items, const MemberId& id) {
  items.insert(std::ranges::lower_bound(items, id), id);
}

bool has_tokens(const RingState& s, const MemberId& id) {
  return std::ranges::find(s.tokens, id, &Token::owner) != s.tokens.end();
}

}  // namespace

bool RingPeer::follow(RingState& next) {
  bool changed = false;
  if (!next.has_ring()) changed |= vote(next);
  if (!next.has_ring() || left_) return changed;
  changed |= take_note(next);
  changed |= adopt_removals(next);
  changed |= take_over(next);
  return changed;
}

bool RingPeer::vote(RingState& next) {
  int seat = next.seat_of(me_);
  bool changed = seat >= 0 && think(next, static_cast<std::uint32_t>(seat));
  auto value = decided(next);
  if (!value) return changed;
  make_ring(next, *value);
  return true;
}

// A founder's note of a member carries what the founder knew when it made it: see README.md.
bool RingPeer::take_note(RingState& next) {
  bool changed = false;
  auto& self = next.add_member(me_);
  if (self.nickname.empty()) {
    self.nickname = config_.nickname.empty() ? me_.text() : config_.nickname;
    changed = true;
  }
  if (int seat = next.seat_of(me_); seat >= 0) {
    for (auto& m : next.members) {
      changed |= !(m.known >> seat & 1);
      m.known |= 1ull << seat;
    }
  }
  if (!next.registered(me_)) return changed;
  for (const auto& m : next.members) {  // this machine's own former lives are over for certain
    if (m.id.name != me_.name || m.id == me_ || next.removed(m.id)) continue;
    auto& r = next.add_removal(m.id);
    r.heir = me_;
    changed = true;
  }
  return changed;
}

bool RingPeer::adopt_removals(RingState& next) {
  bool changed = false;
  for (auto& r : next.removals) {
    if (r.done || std::ranges::binary_search(r.adopted, me_)) continue;
    insert_sorted(r.adopted, me_);
    changed = true;
  }
  return changed;
}

// Once everybody who is left has adopted every removal, this peer knows of all that the dead gave away while they
// lived, and nobody will learn of more.
bool RingPeer::take_over(RingState& next) {
  auto is_due = [&](const Removal& r) { return !r.done && r.heir == me_; };
  if (std::ranges::none_of(next.removals, is_due) || !next.registered(me_) || !next.removals_adopted()) return false;
  for (auto& r : next.removals) {
    if (!is_due(r)) continue;
    std::uint64_t taken = 0;
    for (std::size_t i = 0; i < next.tokens.size(); ++i) {
      auto& t = next.tokens[i];
      if (t.owner != r.id) continue;
      t.owner = me_;
      ++t.version;
      t.free = static_cast<std::uint32_t>(space_.free_in(next.span(i)));
      taken += next.span(i).size();
    }
    r.done = true;
    r.adopted.clear();
    config_.tell("took over " + std::to_string(taken) + " addresses of the removed peer " + r.id.text());
  }
  return true;
}

// An heir that was removed before its inheritance spread: another one begins anew.
bool RingPeer::renew_removals(RingState& next) {
  if (!next.registered(me_)) return false;
  bool changed = false;
  for (auto& r : next.removals) {
    if (!next.removed(r.heir) || !has_tokens(next, r.id) || random(4) != 0) continue;
    ++r.round;
    r.heir = me_;
    r.done = false;
    r.adopted = {me_};
    changed = true;
  }
  return changed;
}

// What others see of this peer's free space only guides whom they ask, so a rough figure will do; `exactly` while its
// tokens change anyway.
bool RingPeer::report_free(RingState& next, bool exactly) const {
  bool changed = false;
  for (std::size_t i = 0; i < next.tokens.size(); ++i) {
    auto& t = next.tokens[i];
    if (t.owner != me_) continue;
    auto now = static_cast<std::uint32_t>(space_.free_in(next.span(i)));
    auto off = now > t.free ? now - t.free : t.free - now;
    if (off == 0 || (!exactly && (now == 0) == (t.free == 0) && off <= t.free / 4 + 8)) continue;
    t.free = now;
    ++t.version;
    changed = true;
  }
  return changed;
}

}  // namespace lab::overlay::ring
