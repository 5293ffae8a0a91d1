// Shard: the objects and the recent history of one storage prefix, and who watches them. Part of the watch cache.
#pragma once

#include <deque>
#include <map>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "orchestrator/apiserver/watch_cache.h"

namespace lab::apiserver {

class Shard {
 public:
  Shard(api::KindPtr kind, std::size_t history_bytes) : kind_(std::move(kind)), history_bytes_(history_bytes) {}

  const api::Kind& kind() const { return *kind_; }

  CachedPtr find(std::string_view rest) const;
  WatchCache::Listing select(const Selection& selection, std::size_t limit, std::string_view from) const;
  std::size_t count() const;
  store::Revision changed_at() const;

  // Replaces all objects, forgets the history and drops the watchers (on start and after a lost store watch).
  void reset(std::map<std::string, CachedPtr, std::less<>> objects, store::Revision revision);
  // Objects read at a revision, into a shard that has been hearing events since before that revision.
  void backfill(std::map<std::string, CachedPtr, std::less<>> objects, store::Revision revision);
  // Whole transactions, in order; `rest` is the key without the prefix.
  struct Update {
    std::string rest;
    store::Revision revision = 0;
    CachedPtr now;        // null: deleted
    CachedPtr tombstone;  // for a deletion: the last state with the deletion's revision
  };
  void apply(std::vector<Update> updates);

  // Registers the watcher; returns the state, or fills its queue from the history.
  Result<WatchCache::Listing> attach(Watcher& watcher, WatchCache::WatchStart start, store::Revision complete);
  void detach(Watcher& watcher);
  std::size_t watcher_count() const;

 private:
  using Objects = std::map<std::string, CachedPtr, std::less<>>;  // by [namespace/]name

  const Objects& candidates(const Selection& selection) const;
  void index(const std::string& rest, const CachedPtr& before, const CachedPtr& now);
  void index_all();
  WatchCache::Listing select_locked(const Selection& selection, std::size_t limit, std::string_view from) const;
  void remember(const EventPtr& event);
  void dispatch(const EventPtr& event);
  void offer(const std::string& trigger, const EventPtr& event);

  api::KindPtr kind_;
  std::size_t history_bytes_;
  mutable std::shared_mutex mutex_;
  Objects objects_;
  std::unordered_map<std::string, Objects> by_field_;  // the same by spec.nodeName, for the kinds that have it
  std::deque<EventPtr> history_;
  std::size_t history_size_ = 0;
  store::Revision oldest_ = 0;  // history holds every event after this
  store::Revision changed_at_ = 0;
  std::unordered_map<std::string, std::vector<Watcher*>> watchers_;  // by trigger; "" hears everything
  std::size_t watcher_count_ = 0;
};

// What a selection can be limited to without looking at an object's labels: "" when nothing.
std::string trigger_of(const api::Kind& kind, const Selection& selection);

}  // namespace lab::apiserver
