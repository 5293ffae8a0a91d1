// How space moves between peers: asking, donating, removing, leaving.
#include <algorithm>

#include "overlay-net/ring/peer.h"

namespace lab::overlay::ring {
namespace {

constexpr std::uint64_t kRichEnough = 64;  // free addresses of a peer that is asked for a reserve

// A token at this address: of the owner it has now, new or as it was.
void split(RingState& s, std::uint64_t at) {
  if (at >= s.end()) return;
  auto place = std::ranges::lower_bound(s.tokens, static_cast<std::uint32_t>(at), {}, &Token::start);
  if (place != s.tokens.end() && place->start == at) return;
  Token t{.start = static_cast<std::uint32_t>(at), .owner = std::prev(place)->owner, .version = 1};
  s.tokens.insert(place, t);
}

}  // namespace

bool RingPeer::donate(const MemberId& to) {
  auto block = space_.donation(owned());
  if (!block) return false;
  RingState next = state_;
  split(next, block->begin);
  split(next, block->end);
  for (std::size_t i = 0; i < next.tokens.size(); ++i) {
    auto& t = next.tokens[i];
    if (t.start < block->begin || t.start >= block->end) continue;
    t.owner = to;
    ++t.version;
    t.free = static_cast<std::uint32_t>(next.span(i).size());
  }
  (void)report_free(next, true);
  if (!commit(std::move(next))) return false;
  broadcast();
  return true;
}

void RingPeer::stop_asking() {
  asking_.reset();
  asked_.clear();
  urgent_ = false;
  ask_ticks_ = 0;
}

void RingPeer::ask_next() {
  asking_.reset();
  ask_ticks_ = 0;
  if (!is_member()) return;
  std::vector<PeerShare> rich;
  for (auto& s : shares()) {
    bool worth_it = urgent_ ? s.owned > 0 : s.free >= kRichEnough;
    if (worth_it && s.id != me_ && !s.removed && !asked_.contains(s.id.name)) rich.push_back(std::move(s));
  }
  std::ranges::shuffle(rich, random_);
  std::ranges::sort(rich, std::greater<>(), &PeerShare::free);
  for (const auto& s : rich) {
    asked_.insert(s.id.name);
    if (!gossip_ || !gossip_->send(s.id.name, framed(urgent_ ? Kind::kAskUrgently : Kind::kAsk))) continue;
    asking_ = s.id.name;
    return;
  }
  stop_asking();  // nobody is left to ask in this round
  ask_pause_ = 4 + static_cast<int>(random(4));
}

std::string RingPeer::why_no_space() const {
  if (left_) return "this peer has left the ring";
  if (!state_.has_ring()) {
    return state_.founders.empty() ? "this peer has not heard from the others yet"
                                   : "the founders have not agreed on the first ring yet; a majority of the " +
                                         std::to_string(state_.founders.size()) + " must be up";
  }
  if (!is_member()) return "a majority of the ring's founders has not taken note of this peer yet";
  std::uint64_t own = 0;
  for (const auto& s : owned()) own += s.size();
  auto text = "all " + std::to_string(own) + " addresses that this peer owns are in use";
  return text + (asking_ ? "; others are being asked for more" : "; no peer in reach gave more");
}

Result<void> RingPeer::remove(std::string_view peer) {
  if (!is_member()) {
    return fail(Code::kUnavailable, "this peer is no member of the ring: " + why_no_space(),
                "try again later, or on another node");
  }
  std::vector<MemberId> found;
  bool is_self = false;
  for (const auto& m : state_.members) {
    MemberId any_life{m.id.name, 0};
    if (peer != m.nickname && peer != m.id.text() && peer != any_life.text()) continue;
    if (m.id == me_)
      is_self = true;
    else if (!state_.removed(m.id))
      found.push_back(m.id);
  }
  if (is_self && found.empty()) {
    return fail(Code::kInvalid, "a peer cannot remove itself", "run it on another node, or 'lab reset' here");
  }
  if (found.empty()) {
    return fail(Code::kNotFound, "no peer '" + std::string(peer) + "' is in the ring",
                "'lab net status ipam' names them");
  }
  RingState next = state_;
  for (const auto& id : found) {
    if (gossip_ && gossip_->send(id.name, framed(Kind::kState))) {
      return fail(Code::kConflict, "peer " + id.text() + " is alive: its pods use its addresses",
                  "stop its node first ('lab reset' there); only a peer that is gone for good may be removed");
    }
    auto& r = next.add_removal(id);
    r.heir = me_;
    r.adopted = {me_};
  }
  (void)follow(next);
  LAB_CHECK(commit(std::move(next)));
  broadcast();
  return {};
}

bool RingPeer::remove_who_left(const MemberId& id) {
  if (!is_member() || id == me_ || !state_.member(id) || state_.removed(id)) return false;
  RingState next = state_;
  auto& r = next.add_removal(id);
  r.heir = me_;
  r.adopted = {me_};
  (void)follow(next);
  return commit(std::move(next)).has_value();
}

Result<void> RingPeer::leave() {
  if (!is_member()) return {};
  for (auto address : space_.used()) {
    auto mine = std::ranges::any_of(owned(), [&](const Span& s) { return address >= s.begin && address < s.end; });
    if (mine) {
      return fail(Code::kConflict, std::to_string(space_.used().size()) + " addresses of this peer are in use",
                  "drain the node first");
    }
  }
  MemberId heir;
  for (const auto& m : state_.members) {
    bool able = m.id != me_ && state_.registered(m.id) && !state_.removed(m.id);
    if (able && heir.empty() && gossip_ && gossip_->send(m.id.name, framed(Kind::kState))) heir = m.id;
  }
  if (heir.empty()) {
    return fail(Code::kUnavailable, "no peer can be reached that would take this peer's space",
                "'lab net rmpeer' on another node does it later");
  }
  RingState next = state_;
  for (std::size_t i = 0; i < next.tokens.size(); ++i) {
    auto& t = next.tokens[i];
    if (t.owner != me_) continue;
    t.owner = heir;
    ++t.version;
    t.free = static_cast<std::uint32_t>(next.span(i).size());
  }
  LAB_CHECK(commit(std::move(next)));
  left_ = true;
  // The heir removes this peer: its own last words must not know of that, so that those which come late are left aside.
  send(heir.name, Kind::kBye);
  broadcast();
  return {};
}

}  // namespace lab::overlay::ring
