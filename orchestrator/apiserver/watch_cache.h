// WatchCache: the current state of every kind and its recent history, fed by one watch on the store.
//
// Readers copy shared pointers under a short shared lock; they never wait for the disk. revision() is the revision up
// to which every shard is complete. Each watcher has a bounded queue of shared events; the store's thread appends to
// the queues of those watchers whose trigger (name, node, namespace) an event can concern, and a watcher whose queue is
// full is dropped: its client resumes from the history.
//
// Invariants
//  1. A shard's objects and history change together, under its lock, one whole transaction at a time.
//  2. Events up to revision() are in every watcher's queue before revision() shows them.
//  3. History holds every event of its shard with a revision above `oldest`.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <unordered_map>
#include <vector>

#include "base/io/oneshot.h"
#include "orchestrator/apiserver/cached_object.h"
#include "orchestrator/apiserver/kind_table.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver {

struct CacheEvent {
  enum Type { kAdded, kModified, kDeleted } type = kAdded;
  store::Revision revision = 0;
  CachedPtr object;    // for a deletion: the last state, with the deletion's revision
  CachedPtr previous;  // null when added
};
using EventPtr = std::shared_ptr<const CacheEvent>;

class Shard;

// One watch. Made by WatchCache::watch(); consumed on one loop.
class Watcher {
 public:
  enum class Wake { kEvents, kTimeout, kStopped, kDropped };

  ~Watcher();
  const Selection& selection() const { return selection_; }
  // Waits until events are there, the time is over, or the watcher is dropped.
  Task<Wake> wait(TimePoint deadline, std::stop_token stop);
  // All queued events, oldest first.
  std::vector<EventPtr> take();
  bool empty() const;

 private:
  friend class Shard;
  friend class WatchCache;
  static constexpr std::size_t kCapacity = 8192;

  // On the store's thread, under the shard's lock.
  void push(const EventPtr& event);
  void drop();

  Selection selection_;
  std::string trigger_;
  std::shared_ptr<Shard> shard_;
  mutable std::mutex mutex_;
  std::deque<EventPtr> queue_;
  bool dropped_ = false;
  std::optional<OneShot<Wake>> waiting_;
};

class WatchCache final : public ObjectReader {
 public:
  struct Options {
    std::size_t history_bytes = 24u << 20;
  };
  // Reads the whole store before it returns, then follows it. `store` and `kinds` must outlive the cache.
  static Result<std::unique_ptr<WatchCache>> start(store::Store& store, const KindTable& kinds, Options options);
  ~WatchCache() override;
  // Lets go of the store: nothing changes any more. Idempotent.
  void stop();

  // Takes in kinds that have come into the kind table since the start.
  Task<Result<void>> add_kinds();

  // Kinds are looked up by storage prefix: any version will do.
  CachedPtr find(const api::Kind& kind, std::string_view ns, std::string_view name) const;
  struct Listing {
    std::vector<CachedPtr> items;  // by namespace and name
    store::Revision revision = 0;
    std::size_t remaining = 0;  // objects after the last item, selected or not
    std::string next;           // key of the object to continue with; "" at the end
  };
  // At most `limit` selected objects (0: all), from the key `from` on.
  Listing select(const api::Kind& kind, const Selection& selection, std::size_t limit = 0,
                 std::string_view from = {}) const;
  std::size_t count(const api::Kind& kind) const;
  // Last revision at which the kind's objects changed.
  store::Revision changed_at(const api::Kind& kind) const;

  struct WatchStart {
    enum Mode { kState, kAfter } mode = kState;  // the state as ADDED events first, or events after a revision
    store::Revision after = 0;
  };
  struct Watching {
    std::unique_ptr<Watcher> watcher;
    Listing state;  // mode kState: what to send first
  };
  // kGone when `after` is older than the history.
  Result<Watching> watch(const api::Kind& kind, Selection selection, WatchStart start);

  store::Revision revision() const { return revision_.load(std::memory_order_acquire); }
  // True once revision() >= wanted.
  Task<bool> wait_for(store::Revision wanted, Duration limit);

  // What a writer already knows of the bytes it is about to commit, so that they need not be parsed again.
  void announce(const store::Bytes& value, ObjectMeta meta);
  void forget(const store::Bytes& value);

  // A stored value that is not in the cache (older revisions).
  CachedPtr make_object(const api::Kind& kind, const store::KeyValue& item) const;

  std::size_t watcher_count() const;

  // ObjectReader
  ObjectPtr get(const api::Kind& kind, std::string_view ns, std::string_view name) const override;
  std::vector<ObjectPtr> list(const api::Kind& kind, std::string_view ns) const override;
  std::vector<ObjectPtr> pods_of_node(std::string_view node, std::string_view ns) const override;
  std::int64_t revision_of(const api::Kind& kind) const override { return changed_at(kind); }

 private:
  WatchCache(store::Store& store, const KindTable& kinds, Options options);
  Result<void> load();
  void follow();
  void apply(const store::WatchBatch& batch);
  std::shared_ptr<Shard> shard(const api::Kind& kind) const;
  std::shared_ptr<Shard> shard_of_key(std::string_view key) const;
  ObjectMeta meta_for(const api::Kind& kind, const store::Bytes& value);
  void publish(store::Revision revision);

  store::Store& store_;
  const KindTable& kinds_;
  Options options_;
  mutable std::shared_mutex shards_mutex_;
  std::map<std::string, std::shared_ptr<Shard>, std::less<>> shards_;  // by storage prefix
  std::atomic<store::Revision> revision_{0};
  std::mutex waiters_mutex_;
  std::multimap<store::Revision, OneShot<bool>> waiters_;
  std::mutex announced_mutex_;
  std::unordered_map<const std::string*, ObjectMeta> announced_;
  std::unique_ptr<store::Watch> watch_;
  std::thread reload_;
  std::atomic<bool> stopping_{false};
};

}  // namespace lab::apiserver
