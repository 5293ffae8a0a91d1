// What the parts of the overlay tell one another through the mesh: a channel has a name, a Gossiper on every peer, and
// three ways of speaking. Model: Weave's mesh (github.com/weaveworks/mesh, "Gossiper" and "Gossip").
//
// The mesh owns delivery: it floods what merge() returns as new, hands complete() to a peer that just connected and now
// and then to neighbours picked at random, and routes unicasts over several hops. Messages are bytes, at most
// kMaxGossip; what they mean is the channel's own business. Delivery is best effort and may come twice, late or in
// another order, so a Gossiper's state is a CRDT (join of a semilattice) or asks again.
//
// Threads: a mesh calls its gossipers, and is called, on one loop only; no call blocks.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::overlay {

inline constexpr std::size_t kMaxGossip = 10u << 20;

// Who a peer is: six bytes, the same over restarts of the process, another one for another machine (Weave uses a MAC).
struct PeerName {
  std::array<std::uint8_t, 6> bytes{};
  auto operator<=>(const PeerName&) const = default;
  bool empty() const { return *this == PeerName{}; }
};

class Gossiper {
 public:
  virtual ~Gossiper() = default;
  // The whole state, for a peer that may know nothing of it. "" while there is nothing to tell.
  virtual std::string complete() = 0;
  // Takes in an update (a delta, or a complete state) and returns what of it was new here, "" when nothing was. The
  // mesh passes that on. An error means the sender is faulty or an enemy: nothing of the update was taken, and the mesh
  // drops the connection it came by and says why.
  virtual Result<std::string> merge(PeerName from, std::string_view update) = 0;
  // A message to this peer alone.
  virtual Result<void> received(PeerName from, std::string_view message) = 0;
  // The topology lost a peer that no connection leads to any more.
  virtual void peer_gone(PeerName peer) = 0;
};

class Gossip {
 public:
  virtual ~Gossip() = default;
  // Tells every peer. The update goes the way merge() takes it.
  virtual void broadcast(std::string update) = 0;
  // kNotFound when no path leads to the peer at this moment.
  virtual Result<void> send(PeerName to, std::string message) = 0;
};

}  // namespace lab::overlay
