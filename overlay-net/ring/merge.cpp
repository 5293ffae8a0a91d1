#include "overlay-net/ring/merge.h"

#include <algorithm>
#include <iterator>

namespace lab::overlay::ring {
namespace {

Failure forged(const std::string& what) {
  return fail(Code::kForbidden, "ring update refused: " + what,
              "a peer is faulty, was set back to an old copy of its disk, or lies: remove it with 'lab net rmpeer'");
}

std::string text_of(std::uint32_t address) {
  return IpAddress::v4(address).text();
}

Result<void> check_same_ring(const RingState& mine, const RingState& theirs) {
  if (mine.range != theirs.range) {
    return fail(Code::kConflict, "the other peer splits " + theirs.range.text() + ", this one " + mine.range.text(),
                "start all peers with the same --cluster-cidr");
  }
  bool both_know = !mine.founders.empty() && !theirs.founders.empty();
  if (both_know && mine.founders != theirs.founders) {
    return fail(Code::kConflict, "the other peer names other founders of the ring",
                "start all peers with the same --ipam-founders; those that join later with none");
  }
  if (mine.has_ring() && theirs.has_ring() && mine.initial != theirs.initial) {
    return fail(Code::kConflict, "the other peer belongs to another ring",
                "stop it, remove its state directory and let it join again");
  }
  return {};
}

// What only this peer may have said: an update that has more of it than this peer said is forged.
Result<void> check_in_my_name(const RingState& mine, const RingState& theirs, const MemberId& me) {
  int seat = mine.seat_of(me);
  for (const auto& m : theirs.members) {
    if (seat < 0 || !(m.known >> seat & 1)) continue;
    const Member* known = mine.member(m.id);
    if (!known || !(known->known >> seat & 1)) return forged("it says that this peer took note of " + m.id.text());
  }
  for (const auto& r : theirs.removals) {
    if (!std::ranges::binary_search(r.adopted, me)) continue;
    const Removal* known = mine.removal(r.id);
    bool said = known && (known->order() > r.order() || known->done || std::ranges::binary_search(known->adopted, me));
    if (!said) return forged("it says that this peer adopted the removal of " + r.id.text());
  }
  for (std::size_t i = 0, at = 0; i < theirs.tokens.size(); ++i) {
    const auto& t = theirs.tokens[i];
    while (at + 1 < mine.tokens.size() && mine.tokens[at + 1].start <= t.start) ++at;
    const auto& own = mine.tokens[at];
    if (own.owner != me) continue;
    if (own.start != t.start) return forged("it splits this peer's range at " + text_of(t.start));
    if (t.version > own.version) return forged("it edits this peer's token " + text_of(t.start));
  }
  return {};
}

// Those who are no founders pass votes on.
Result<void> merge_votes(Merged& out, const RingState& theirs, const MemberId& me) {
  if (out.state.founders.empty()) {
    out.state.founders = theirs.founders;
    out.state.votes.resize(theirs.founders.size());
  }
  auto& votes = out.state.votes;
  for (std::size_t i = 0; i < votes.size() && i < theirs.votes.size(); ++i) {
    const auto& v = theirs.votes[i];
    if (std::pair(v.promised, v.accepted) <= std::pair(votes[i].promised, votes[i].accepted)) continue;
    if (out.state.seat_of(me) == static_cast<int>(i)) return forged("it votes in this peer's name");
    votes[i] = v;
    out.news = true;
  }
  return {};
}

void merge_members(Merged& out, const RingState& theirs) {
  std::vector<Member> all;
  auto a = out.state.members.begin(), a_end = out.state.members.end();
  auto b = theirs.members.begin(), b_end = theirs.members.end();
  while (a != a_end || b != b_end) {
    if (b == b_end || (a != a_end && a->id < b->id)) {
      all.push_back(std::move(*a++));
    } else if (a == a_end || b->id < a->id) {
      all.push_back(*b++);
      out.detail = true;
    } else {
      Member m = std::move(*a++);
      auto nickname = std::max(m.nickname, b->nickname);
      if ((m.known | b->known) != m.known || nickname != m.nickname) out.detail = true;
      m.known |= b++->known;
      m.nickname = std::move(nickname);
      all.push_back(std::move(m));
    }
  }
  out.state.members = std::move(all);
}

// `with_adopted`: whether to believe who has adopted it. That says what those knew, so it needs their tokens as well.
void merge_removals(Merged& out, const RingState& theirs, bool with_adopted) {
  for (const auto& r : theirs.removals) {
    const Removal* known = out.state.removal(r.id);
    if (!known || r.order() > known->order()) {
      Removal& mine = out.state.add_removal(r.id);
      mine = r;
      out.news = true;
      if (!with_adopted) {
        mine.done = false;
        mine.adopted.clear();
      }
    } else if (with_adopted && r.order() == known->order() && !known->done) {
      Removal& mine = out.state.add_removal(r.id);
      std::vector<MemberId> both;
      if (!r.done) std::ranges::set_union(mine.adopted, r.adopted, std::back_inserter(both));
      if (r.done || both.size() != mine.adopted.size()) out.detail = true;
      mine.done = r.done;
      mine.adopted = std::move(both);
    }
  }
}

Result<void> merge_tokens(Merged& out, const RingState& theirs) {
  std::vector<Token> all;
  all.reserve(out.state.tokens.size() + 4);
  auto a = out.state.tokens.begin(), a_end = out.state.tokens.end();
  auto b = theirs.tokens.begin(), b_end = theirs.tokens.end();
  while (a != a_end || b != b_end) {
    if (b == b_end || (a != a_end && a->start < b->start)) {
      all.push_back(*a++);
    } else if (a == a_end || b->start < a->start) {
      all.push_back(*b++);
      out.news = true;
    } else {
      if (a->version == b->version && *a != *b) {
        return forged("token " + text_of(a->start) + " has the same version with " + a->owner.text() + " and with " +
                      b->owner.text());
      }
      if (b->version > a->version) (a->owner != b->owner ? out.news : out.detail) = true;
      all.push_back(b->version > a->version ? *b : *a);
      ++a, ++b;
    }
  }
  out.state.tokens = std::move(all);
  return {};
}

bool knows_removals_of(const RingState& a, const RingState& b) {
  return std::ranges::all_of(b.removals, [&](const Removal& r) { return a.removed(r.id); });
}

}  // namespace

Result<Merged> merge(const RingState& mine, const RingState& theirs, const MemberId& me) {
  LAB_CHECK(check_same_ring(mine, theirs));
  Merged out{.state = mine};
  if (mine.has_ring() && !theirs.has_ring()) {
    out.stale = true;
    return out;
  }
  if (!theirs.has_ring()) {
    LAB_CHECK(merge_votes(out, theirs, me));
    return out;
  }
  if (!mine.has_ring()) {
    out.state = theirs;
    out.news = true;
    return out;
  }
  out.stale = !knows_removals_of(theirs, mine);
  // The same caution as below: of two that each know a removal the other lacks, the member learns first.
  if (out.stale && !mine.registered(me)) return out;
  bool more_removals = !knows_removals_of(mine, theirs);
  if (!out.stale && !theirs.removed(me)) LAB_CHECK(check_in_my_name(mine, theirs, me));
  // Someone who is no member yet owns nothing, so that nothing is lost by forgetting; what it heard of a peer that is
  // removed now, it must forget, since nobody has asked it before that peer's space went to the heir.
  bool forget = more_removals && !out.stale && !mine.registered(me);
  merge_members(out, theirs);
  if (forget) {
    out.state.removals = theirs.removals;
    out.state.tokens = theirs.tokens;
    out.news = true;
    return out;
  }
  merge_removals(out, theirs, !out.stale);
  if (!out.stale) LAB_CHECK(merge_tokens(out, theirs));
  return out;
}

}  // namespace lab::overlay::ring
