#include "overlay-net/ring/peer.h"

#include <algorithm>

#include "overlay-net/mesh/wire.h"
#include "overlay-net/ring/paxos.h"

namespace lab::overlay::ring {
namespace {

constexpr std::string_view kSavedMagic = "peer1";

}  // namespace

RingPeer::RingPeer(RingConfig config, RingStore& store)
    : config_(std::move(config)),
      store_(store),
      random_(static_cast<std::minstd_rand::result_type>(config_.seed % 2147483646 + 1)),
      state_(make_state(config_.range, config_.founders)),
      space_(config_.range) {
  me_.name = config_.self;
}

Result<std::unique_ptr<RingPeer>> RingPeer::open(RingConfig config, RingStore& store, std::string_view saved) {
  if (config.self.empty()) return fail(Code::kInvalid, "the peer has no name");
  if (!config.range.address.is_v4() || config.range.prefix < 1 || config.range.prefix > 30) {
    return fail(Code::kInvalid, "'" + config.range.text() + "' is no usable pod range",
                "an IPv4 range of /30 or larger");
  }
  if (config.founders.size() > kMaxFounders) {
    return fail(Code::kInvalid, std::to_string(config.founders.size()) + " founders are too many",
                "name at most " + std::to_string(kMaxFounders) + "; the other peers simply join");
  }
  std::unique_ptr<RingPeer> out(new RingPeer(std::move(config), store));
  LAB_CHECK(out->load(saved));
  return out;
}

Result<void> RingPeer::load(std::string_view saved) {
  if (saved.empty()) {
    fresh_ = true;
    if (state_.seat_of(me_) < 0) me_.life = random_() | 1;
    return {};
  }
  const char* hint =
      "restore the file from a copy, or remove this peer, then its state directory, and let it join anew";
  Reader r(saved.substr(0, kSavedMagic.size() + 4));
  auto magic = saved.substr(0, kSavedMagic.size());
  for (std::size_t i = 0; i < kSavedMagic.size(); ++i) (void)r.u8();
  me_.life = r.u32();
  if (magic != kSavedMagic || !r.good()) return fail(Code::kInternal, "the saved ring is damaged", hint);
  auto state = decode(saved.substr(kSavedMagic.size() + 4));
  if (!state) return fail(Code::kInternal, "the saved ring is damaged: " + state.error().message, hint);
  if (state->range != config_.range.network()) {
    return fail(Code::kConflict,
                "the saved ring is of " + state->range.text() + ", this peer shall use " + config_.range.text(),
                "a cluster's pod range does not change; to change it, remove the state directory on all nodes");
  }
  if (state->founders != state_.founders && !state_.founders.empty() && !state->founders.empty()) {
    config_.tell("the ring's founders are those of its first start, not those given now");
  }
  state_ = std::move(*state);
  return {};
}

// Nothing is told, and nothing given out, before it is saved.
Result<void> RingPeer::commit(RingState next) {
  Writer w;
  w.raw(kSavedMagic).u32(me_.life).raw(encode(next));
  auto saved = store_.save(w.take());
  if (!saved) {
    if (!save_failed_) config_.tell("the ring cannot be saved, so that it does not change: " + saved.error().text());
    save_failed_ = true;
    return saved;
  }
  save_failed_ = false;
  fresh_ = false;
  bool owners = next.tokens.size() != state_.tokens.size() ||
                !std::ranges::equal(next.tokens, state_.tokens, {}, &Token::owner, &Token::owner);
  state_ = std::move(next);
  if (owners) config_.on_owners_changed();
  return {};
}

std::string RingPeer::complete() {
  bool silent = !state_.has_ring() && std::ranges::all_of(state_.votes, [](const Vote& v) { return v == Vote{}; });
  return silent ? "" : encode(state_);
}

std::string RingPeer::framed(Kind kind) const {
  Writer w;
  w.u8(static_cast<std::uint8_t>(kind)).name(me_.name).u32(me_.life).raw(encode(state_));
  return w.take();
}

void RingPeer::send(PeerName to, Kind kind) {
  if (gossip_) (void)gossip_->send(to, framed(kind));  // who cannot be reached hears by gossip
}

void RingPeer::broadcast() {
  untold_ = false;
  if (auto all = complete(); gossip_ && !all.empty()) gossip_->broadcast(std::move(all));
}

// A founder that begins with an empty disk cannot know whether it lost one. What others remember of it tells.
bool RingPeer::is_former_self_known(const RingState& theirs) const {
  int seat = state_.seat_of(me_);
  if (!fresh_ || seat < 0) return false;
  if (!theirs.has_ring()) {
    return static_cast<std::size_t>(seat) < theirs.votes.size() && theirs.votes[std::size_t(seat)] != Vote{};
  }
  const Member* m = theirs.member(me_);
  return m && !m->nickname.empty();
}

// From now on another member, without space; addresses in use stay known, so that they are not given a second time
// here.
void RingPeer::begin_new_life(const std::string& why) {
  config_.tell(why);
  stop_asking();
  me_.life = random_() | 1;
  state_ = make_state(config_.range, {});
  config_.on_owners_changed();
}

Result<Merged> RingPeer::absorb(std::string_view update) {
  LAB_TRY(auto theirs, decode(update));
  if (is_former_self_known(theirs)) {
    begin_new_life("this peer was in the ring before and lost its disk; it joins anew");
  } else if (theirs.removed(me_) && !left_) {
    begin_new_life("this peer was removed from the ring; it joins anew. Pods made before must be made anew as well");
  }
  LAB_TRY(auto merged, config_.merge(state_, theirs, me_));
  if (merged.state.removed(me_) && !left_) {  // by an update that lacked another removal
    begin_new_life("this peer was removed from the ring; it joins anew. Pods made before must be made anew as well");
    return Merged{.state = state_, .stale = true};
  }
  if (follow(merged.state)) merged.own = merged.news = true;
  if (merged.news || merged.detail) {
    // A disk that fails is no fault of the sender: nothing is taken, and gossip brings it again.
    if (!commit(merged.state)) return Merged{.state = state_};
    if (merged.detail) untold_ = true;
  }
  return merged;
}

Result<std::string> RingPeer::merge(PeerName from, std::string_view update) {
  if (left_) return std::string();
  bool was_free = free() > 0;
  LAB_TRY(auto merged, absorb(update));
  if (!was_free && free() > 0) stop_asking();
  if (merged.stale) send(from, Kind::kState);
  // What a mesh passes on does not go back to where it came from; what this peer adds must.
  if (merged.own) broadcast();
  return merged.news && !merged.own ? complete() : std::string();
}

Result<void> RingPeer::received(PeerName from, std::string_view message) {
  if (left_) return {};
  Reader r(message);
  auto kind = static_cast<Kind>(r.u8());
  MemberId sender;
  sender.name = r.name();
  sender.life = r.u32();
  auto update = r.rest();
  bool is_ask = kind == Kind::kAsk || kind == Kind::kAskUrgently;
  bool known = is_ask || kind == Kind::kState || kind == Kind::kNothing || kind == Kind::kBye;
  if (!r.good() || !known || sender.name != from) return fail(Code::kInvalid, "not a message about the ring");
  LAB_TRY(auto merged, absorb(update));
  bool parted = kind == Kind::kBye && remove_who_left(sender);
  if (merged.news || parted) broadcast();
  if (is_ask) {
    bool given = state_.registered(sender) && !state_.removed(sender) && !merged.stale;
    bool urgent = kind == Kind::kAskUrgently;
    given = given && (urgent || free() >= 64) && donate(sender);
    send(from, given ? Kind::kState : Kind::kNothing);
  } else if (merged.stale) {
    send(from, Kind::kState);
  }
  if (asking_ != from) return {};
  if (free() > 0) {
    stop_asking();
  } else if (kind == Kind::kNothing) {
    ask_next();
  }
  return {};
}

void RingPeer::peer_gone(PeerName peer) {
  if (asking_ == peer) ask_next();
}

void RingPeer::tick() {
  if (left_) return;
  RingState next = state_;
  int seat = next.seat_of(me_);
  bool changed = false;
  if (!next.has_ring() && seat >= 0 && propose_pause_-- <= 0) {
    // Soon, but not all at once: of two that propose at the same time, one has to try again.
    bool begun = next.votes[std::size_t(seat)].promised.round != 0;
    if (begun || next.founders.size() == 1 || random(static_cast<std::uint32_t>(next.founders.size())) == 0) {
      propose(next, static_cast<std::uint32_t>(seat));
      changed = true;
      propose_pause_ = 3 + static_cast<int>(random(4 + 2 * static_cast<std::uint32_t>(next.founders.size())));
    }
  }
  changed |= follow(next);
  changed |= renew_removals(next);
  changed |= report_free(next, false);
  if (changed && commit(std::move(next))) {
    broadcast();
  } else if (untold_ && random(static_cast<std::uint32_t>(state_.members.size() + 1)) < 4) {
    broadcast();  // some of those who have the same news tell it, not all
  }
  bool low = is_member() && free() < 16;
  if (!urgent_ && !low) {
    stop_asking();
  } else if (asking_) {
    if (++ask_ticks_ >= 3) ask_next();
  } else if (--ask_pause_ <= 0) {
    ask_next();
  }
}

std::uint64_t RingPeer::free() const {
  std::uint64_t out = 0;
  for (const auto& s : owned()) out += space_.free_in(s);
  return out;
}

std::optional<std::uint32_t> RingPeer::take() {
  if (left_) return std::nullopt;
  if (auto address = space_.take(owned())) return address;
  urgent_ = true;
  return std::nullopt;
}

void RingPeer::ask_now() {
  if (urgent_ && !left_ && !asking_ && ask_pause_ <= 0) ask_next();
}

void RingPeer::give_back(std::uint32_t address) {
  space_.give_back(address);
}

void RingPeer::claim(std::uint32_t address, bool is_latest) {
  space_.claim(address);
  if (is_latest) space_.set_cursor(address);
}

std::vector<PeerShare> RingPeer::shares() const {
  std::vector<PeerShare> out;
  for (const auto& m : state_.members) {
    out.push_back({m.id, m.nickname, 0, 0, 0, state_.registered(m.id), state_.removed(m.id)});
  }
  for (std::size_t i = 0; i < state_.tokens.size(); ++i) {
    const auto& t = state_.tokens[i];
    auto at = std::ranges::lower_bound(out, t.owner, {}, &PeerShare::id);
    at->owned += state_.span(i).size();
    at->free += t.owner == me_ ? space_.free_in(state_.span(i)) : t.free;
    ++at->tokens;
  }
  return out;
}

}  // namespace lab::overlay::ring
