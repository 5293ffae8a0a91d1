// RingState: what a peer knows of how the pod range is split. A join semilattice: states of two peers merge to one that
// knows both (merge.h), in any order, any number of times.
//
// The range is a sequence of tokens; a token's owner has the addresses from its start to the next token's. Plain
// values, addresses as IPv4 numbers in host order. Model: Weave's ring (github.com/weaveworks/weave, ipam/ring), with
// members and removals added so that space of a dead peer goes to exactly one heir (README.md says why that is safe).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"
#include "overlay-net/mesh/gossip.h"

namespace lab::overlay::ring {

inline constexpr std::size_t kMaxFounders = 63;           // a set of them is one number
inline constexpr std::uint32_t kMaxVersion = 0x7fffffff;  // an honest peer never gets there

// A peer's life: from an empty disk until the disk is lost or the peer is removed. Founders begin with 0.
struct MemberId {
  PeerName name;
  std::uint32_t life = 0;
  auto operator<=>(const MemberId&) const = default;
  bool empty() const { return name.empty(); }
  std::string text() const;  // "02:1f:9a:00:00:01", with "#life" behind it unless that is 0
};

struct Token {
  std::uint32_t start = 0;
  MemberId owner;
  std::uint32_t version = 0;  // raised with each edit; only the owner edits
  std::uint32_t free = 0;     // addresses that the owner could give, as of its last report
  bool operator==(const Token&) const = default;
};

struct Member {
  MemberId id;
  std::string nickname;     // the node's name; "" until the member has spoken
  std::uint64_t known = 0;  // founders that have taken note of it, one bit each
  bool operator==(const Member&) const = default;
};

// A peer that is dead for good. Its heir takes its tokens once everybody else has adopted the removal.
struct Removal {
  MemberId id;
  std::uint32_t round = 0;  // raised when an heir was removed in turn
  MemberId heir;
  bool done = false;              // the heir has taken over; adopted is empty then
  std::vector<MemberId> adopted;  // sorted
  bool operator==(const Removal&) const = default;
  auto order() const { return std::pair(round, heir); }
};

struct Ballot {
  std::uint32_t round = 0;  // 0: none
  std::uint32_t founder = 0;
  auto operator<=>(const Ballot&) const = default;
};

// One founder's part in the consensus about the first ring (paxos.h). Only that founder edits it.
struct Vote {
  Ballot promised, accepted;
  std::uint64_t value = 0;  // of accepted: the founders that share the range at first
  bool operator==(const Vote&) const = default;
};

struct Span {
  std::uint64_t begin = 0, end = 0;  // end is not in it
  std::uint64_t size() const { return end - begin; }
  auto operator<=>(const Span&) const = default;
};

struct RingState {
  Cidr range;
  std::vector<PeerName> founders;  // sorted; empty: not known yet
  std::uint64_t initial = 0;       // founders that shared the range at first; 0: there is no ring yet
  std::vector<Vote> votes;         // one per founder
  std::vector<Member> members;     // sorted by id; every founder's first life is one
  std::vector<Removal> removals;   // sorted by id; never shrinks
  std::vector<Token> tokens;       // sorted by start; never shrinks
  bool operator==(const RingState&) const = default;

  bool has_ring() const { return initial != 0; }
  std::uint64_t begin() const { return range.address.v4_value(); }
  std::uint64_t end() const { return begin() + range.size(); }
  std::size_t quorum() const { return founders.size() / 2 + 1; }
  int seat_of(const MemberId& id) const;  // index among the founders, -1 for others
  const Member* member(const MemberId& id) const;
  const Removal* removal(const MemberId& id) const;
  bool removed(const MemberId& id) const { return removal(id) != nullptr; }
  bool registered(const MemberId& id) const;  // a founder, or noted by a majority of them
  Span span(std::size_t token) const;
  std::vector<Span> spans_of(const MemberId& id) const;  // neighbouring ones joined
  // Every removal is either done, or adopted by a majority of the founders and all members that are not removed.
  bool removals_adopted() const;

  Member& add_member(const MemberId& id);
  Removal& add_removal(const MemberId& id);
};

RingState make_state(Cidr range, std::vector<PeerName> founders);
// Splits the range evenly among these founders. The same everywhere.
void make_ring(RingState& state, std::uint64_t initial);

std::string encode(const RingState& state);
// Refuses whatever encode() does not give: cut, trailing or unsorted bytes, tokens outside of the range or of
// strangers.
Result<RingState> decode(std::string_view bytes);

}  // namespace lab::overlay::ring
