// RingAllocator: the node's addresses out of the ring, with the ring's state and the allocations on disk.
//
//   LAB_TRY(auto ring, RingAllocator::open({.state_dir = dir, .loop = &loop, .ring = {...}}));
//   ring->attach(mesh.join("ipam", *ring));
//   ring->start(scope);
//
// Thread-safe. attach(), start(), tick(), remove() and leave() are called on the mesh's loop, and the mesh calls its
// Gossiper there; allocate() and release() come from any thread, also while the mesh is away. Files:
// STATE_DIR/ring.state, written whole with each change, and STATE_DIR/ring-addresses.journal. Outlives the mesh and the
// scope's tasks.
#pragma once

#include <memory>
#include <mutex>

#include "base/io/scope.h"
#include "base/json.h"
#include "overlay-net/ipam/address_journal.h"
#include "overlay-net/ring/peer.h"

namespace lab::overlay::ring {

struct RingAllocatorOptions {
  std::string state_dir;
  Loop* loop = nullptr;
  Duration tick = std::chrono::seconds(1);
  RingConfig ring;  // on_owners_changed is called with the allocator's lock held: it may only take note
};

class RingAllocator final : public Allocator, public Gossiper {
 public:
  static Result<std::unique_ptr<RingAllocator>> open(RingAllocatorOptions options);
  ~RingAllocator() override;
  void attach(Gossip& gossip);
  void start(Scope& scope);  // calls tick() as time goes by
  void tick();

  // kTooManyRequests when this peer owns no free address at the moment: others are being asked, ask again.
  Result<Allocation> allocate(const std::string& owner, const std::string& note) override;
  Result<void> release(const std::string& owner) override;
  std::optional<Allocation> find(const std::string& owner) const override;
  std::vector<Allocation> all() const override;
  AllocatorUsage usage() const override;

  std::string complete() override;
  Result<std::string> merge(PeerName from, std::string_view update) override;
  Result<void> received(PeerName from, std::string_view message) override;
  void peer_gone(PeerName peer) override;

  Result<void> remove(const std::string& peer);  // see RingPeer
  // Hands all space over, before this node goes for good; see RingPeer. `last` is the one owner that may still have an
  // address. kConflict while others do.
  Result<void> leave(const std::string& last);
  // Routes that lead to a node's pods; empty for unknown nodes.
  std::vector<Cidr> ranges_of(const std::string& nickname) const;
  std::vector<std::string> nicknames() const;  // of members that are not removed, this one included
  const Cidr& range() const { return options_.ring.range; }
  // {"range", "total", "problem", "peers": [{"name", "nickname", "self", "owned", "free", "used", "percent",
  // "removed"}]}
  json::Value status() const;

 private:
  class File;
  explicit RingAllocator(RingAllocatorOptions options);
  Task<void> keep_ticking(std::stop_token stop);
  void nudge();

  RingAllocatorOptions options_;
  mutable std::mutex mutex_;
  std::unique_ptr<File> file_;
  std::unique_ptr<AddressJournal> journal_;
  std::unique_ptr<RingPeer> peer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read and cleared on the loop
};

}  // namespace lab::overlay::ring
