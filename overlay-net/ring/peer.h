// RingPeer: one peer's part in the ring. Holds its RingState, speaks with the others through the mesh, and gives out
// the addresses it owns. No clock, no I/O of its own, one thread: the same code runs under the agent and in a
// simulation.
//
//   saved bytes -> open() -> received()/merge() as messages come, tick() about once a second, take() for an address
//
// Whatever others may hear is saved first: a change that cannot be saved is not made. When tick() comes too early, too
// late, or many times at once, things happen sooner or later, nothing else.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "overlay-net/ring/merge.h"
#include "overlay-net/ring/space.h"

namespace lab::overlay::ring {

// Keeps the peer's state over a restart. Durable, whole or not at all, on return.
class RingStore {
 public:
  virtual ~RingStore() = default;
  virtual Result<void> save(const std::string& bytes) = 0;
};

using MergeFunction = Result<Merged> (*)(const RingState&, const RingState&, const MemberId&);

struct RingConfig {
  PeerName self;
  std::string nickname;  // the node's name
  Cidr range;            // that all peers share; /30 or larger
  // The peers that make the first ring, the same list on each of them. One alone: it has the whole range at first.
  // Empty on a peer that joins later. A majority of them must be reachable for peers to join and for removals to be
  // carried out.
  std::vector<PeerName> founders;
  std::uint64_t seed = 1;  // of the random choices; another one on each start
  std::function<void(const std::string&)> tell = [](const std::string&) {};  // a line for people
  std::function<void()> on_owners_changed = [] {};
  MergeFunction merge = ring::merge;  // tests break it to see that they notice
};

struct PeerShare {
  MemberId id;
  std::string nickname;
  std::uint64_t owned = 0, free = 0;  // addresses; free as last reported
  std::size_t tokens = 0;
  bool registered = false, removed = false;
};

class RingPeer final : public Gossiper {
 public:
  // `saved` is what the store was given last, "" when it never was.
  static Result<std::unique_ptr<RingPeer>> open(RingConfig config, RingStore& store, std::string_view saved);
  // The mesh's end; before that nothing is told. Outlives the peer.
  void attach(Gossip& gossip) { gossip_ = &gossip; }

  std::string complete() override;
  Result<std::string> merge(PeerName from, std::string_view update) override;
  Result<void> received(PeerName from, std::string_view message) override;
  void peer_gone(PeerName peer) override;
  void tick();

  // A free address of this peer's own, in use from now on: journal it before anybody hears of it, or give it back. When
  // there is none, ask_now() or the next tick() asks others: try again a little later.
  std::optional<std::uint32_t> take();
  void ask_now();
  void give_back(std::uint32_t address);
  // Addresses that are in use since before this start; before anything else.
  void claim(std::uint32_t address, bool is_latest = false);

  // The peer (by nickname or name) is dead for good: its space goes to this peer once the others have adopted that.
  // kNotFound when there is none of that name (left), kUnavailable while this peer is no member, kInvalid for itself,
  // kConflict when it can be reached.
  Result<void> remove(std::string_view peer);
  // Hands all space to a peer that is reachable and has itself removed by that one, before it goes for good. Its
  // addresses must be out of use. From then on it neither listens nor gives.
  Result<void> leave();

  const MemberId& id() const { return me_; }
  const RingState& state() const { return state_; }
  const std::set<std::uint32_t>& used() const { return space_.used(); }
  bool is_member() const { return state_.registered(me_); }
  std::vector<Span> owned() const { return state_.spans_of(me_); }
  std::uint64_t free() const;
  std::vector<PeerShare> shares() const;
  bool is_asking() const { return asking_.has_value(); }
  std::string why_no_space() const;

 private:
  enum class Kind : char { kState = 's', kAsk = 'a', kAskUrgently = 'u', kNothing = 'n', kBye = 'b' };

  RingPeer(RingConfig config, RingStore& store);
  Result<void> load(std::string_view saved);
  Result<void> commit(RingState next);
  std::string framed(Kind kind) const;
  void send(PeerName to, Kind kind);
  void broadcast();
  Result<Merged> absorb(std::string_view update);
  void begin_new_life(const std::string& why);
  bool is_former_self_known(const RingState& theirs) const;

  // What follows from a state that this peer has come to know; changes what is this peer's to change.
  bool follow(RingState& next);
  bool vote(RingState& next);
  bool take_note(RingState& next);
  bool adopt_removals(RingState& next);
  bool take_over(RingState& next);
  bool renew_removals(RingState& next);
  bool report_free(RingState& next, bool exactly) const;

  bool donate(const MemberId& to);
  bool remove_who_left(const MemberId& id);
  void ask_next();
  void stop_asking();
  std::uint32_t random(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

  RingConfig config_;
  RingStore& store_;
  Gossip* gossip_ = nullptr;
  std::minstd_rand random_;
  MemberId me_;
  RingState state_;
  Space space_;
  bool fresh_ = false;  // began with an empty disk, and has learned nothing since
  bool left_ = false;
  bool untold_ = false;  // details that may spread at leisure
  bool save_failed_ = false;

  bool urgent_ = false;             // somebody waits for an address
  std::optional<PeerName> asking_;  // who was asked last
  std::set<PeerName> asked_;        // in this round
  int ask_ticks_ = 0, ask_pause_ = 0, propose_pause_ = 0;
};

}  // namespace lab::overlay::ring
