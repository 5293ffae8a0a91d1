// Router: the mesh without sockets. It is told of links that come and go and of messages that arrive, and says what to
// send on which link; so the same code runs over TCP and in a simulation of a hundred peers in one process.
//
// What it does: keeps the topology the same everywhere; floods what channels tell; routes unicasts over several hops;
// measures links by pings and drops silent ones; names peers that use one name twice. Time is handed in and is
// monotonic: a clock that is set changes nothing, and a process that was stopped for a while gives its links a second
// chance before it calls them dead.
//
// How news spread: a peer tells all its neighbours of a change of its own. A neighbour to whom it is new passes it on
// to those of its neighbours that the teller is not connected to itself, so in a full mesh nothing is sent twice. What
// gets lost when a link breaks is made up for when two peers connect (digest of the topology, complete state of the
// channels) and by the same exchange with a few neighbours picked at random every now and then.
//
// Not thread-safe. Callbacks must not call back into the router, except for Gossip::broadcast() and send().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "base/io/loop.h"
#include "overlay-net/mesh/topology.h"

namespace lab::overlay {

using LinkId = std::uint64_t;
using Message = std::shared_ptr<const std::string>;

struct RouterTimes {
  Duration heartbeat = std::chrono::seconds(2);      // a ping on every link
  Duration dead_after = std::chrono::seconds(10);    // of silence
  Duration gossip_every = std::chrono::seconds(10);  // complete exchange with a few neighbours
  Duration settle =
      std::chrono::milliseconds(5);  // changes of topology within it are told at once; grows with the mesh
};

struct RouterCounters {
  std::uint64_t received = 0, sent = 0;                    // messages
  std::uint64_t relayed = 0, unroutable = 0, refused = 0;  // unicasts passed on, dropped; messages found faulty
};

class Router {
 public:
  using Send = std::function<void(LinkId, Message)>;
  using Drop = std::function<void(LinkId, Error)>;  // the router has forgotten the link already
  Router(PeerIdentity self, RouterTimes times, std::uint64_t seed, Send send, Drop drop);
  ~Router();

  // The channel's other end is the same name on other peers. The gossiper outlives the router.
  Gossip& join(std::string channel, Gossiper& gossiper);
  void announce(std::string info) { topology_.set_info(std::move(info)); }

  // kConflict: another run of that name is connected; kGone: it is this peer itself; kAlreadyExists: two connections
  // between the same two, and the other one is kept. Of two the one that the peer with the lower name dialled stays, on
  // both sides.
  Result<void> link_up(LinkId id, const PeerIdentity& remote, bool dialled, TimePoint now);
  void link_down(LinkId id, TimePoint now);
  void received(LinkId id, std::string_view message, TimePoint now);
  void tick(TimePoint now);
  TimePoint next_due() const;

  const Topology& topology() const { return topology_; }
  const RouterCounters& counters() const { return counters_; }
  std::size_t link_count() const { return links_.size(); }
  bool is_linked(PeerName to) const { return by_peer_.contains(to); }
  std::optional<Duration> round_trip(LinkId id) const;

 private:
  struct Link {
    PeerIdentity remote;
    bool dialled = false;
    TimePoint last_heard;
    Duration round_trip{};
    std::set<PeerName> untold;  // records that the other side may not have
  };
  struct Channel;

  void send(LinkId id, Message message);
  void drop(LinkId id, Error why, TimePoint now);
  void forget_link(LinkId id);
  void greet(LinkId id);
  void tell_all(const std::vector<PeerName>& records, LinkId except, TimePoint now);
  void tell_self(TimePoint now);
  void schedule_flush(TimePoint now);
  void flush();
  void heartbeat(TimePoint now);
  void gossip_now();
  Result<void> take(LinkId id, std::string_view message, TimePoint now);
  Result<void> take_digest(LinkId id, std::string_view body);
  Result<void> take_records(LinkId id, std::string_view body, TimePoint now);
  Result<void> take_wanted(LinkId id, std::string_view body);
  Result<void> take_gossip(LinkId id, std::string_view body, bool complete);
  Result<void> take_unicast(LinkId id, std::string_view body);
  void relay(const std::string& channel, PeerName source, std::string_view update, LinkId except);
  Result<void> route(PeerName from, PeerName to, std::uint8_t hops, const std::string& channel,
                     std::string_view message);

  RouterTimes times_;
  std::mt19937_64 random_;
  Send send_;
  Drop drop_;
  Topology topology_;
  std::map<LinkId, Link> links_;
  std::map<PeerName, LinkId> by_peer_;
  std::map<std::string, std::unique_ptr<Channel>> channels_;
  RouterCounters counters_;
  std::uint64_t told_version_ = 0;  // of the own record
  TimePoint flush_at_ = TimePoint::max(), heartbeat_at_{}, gossip_at_{}, assert_at_{}, clash_until_{};
};

}  // namespace lab::overlay
