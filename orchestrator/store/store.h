// Store: a durable, ordered, multi-version map with transactions and watches, after etcd's v3 API.
//
// Keys are paths ("/registry/pods/default/web-1"), values opaque bytes. Every committed transaction advances the
// store's revision by one; all its changes carry that revision. The contract suite (tests/contract/store) states the
// rest and runs over every implementation.
//
// Threads: all calls may come from any thread and return at once. Completions and watch batches run on a thread of the
// store and must not block: hand the result over (OneShot, Loop::post). A completion is called exactly once; a commit's
// completion comes after the change is on disk (acknowledged means durable).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::store {

using Revision = std::int64_t;
using Bytes = std::shared_ptr<const std::string>;

struct KeyValue {
  std::string key;
  Bytes value;
  Revision create_revision = 0;
  Revision mod_revision = 0;
};

// One change of a transaction. `expect` guards it: the key's mod_revision must equal it (0: must not exist).
struct Change {
  std::string key;
  Bytes value;  // null: delete
  std::optional<Revision> expect;
};

struct Txn {
  std::vector<Change> changes;                           // all or none
  std::vector<std::pair<std::string, Revision>> guards;  // further keys to compare, without changing them
};

struct Committed {
  Revision revision = 0;
};

// A guard that failed: Code::kConflict; the message names the key, its expected and its actual revision.
// (expect 0 on an existing key: kAlreadyExists; expect > 0 on an absent key: kNotFound.)

struct RangeRequest {
  std::string start;      // inclusive
  std::string end;        // exclusive; prefix_end(start) for a prefix; empty: no bound
  Revision revision = 0;  // 0: now. Older than the compaction: kGone. Newer than now: kInvalid
  std::size_t limit = 0;  // 0: all
};
struct RangeResult {
  std::vector<KeyValue> items;  // by key
  Revision revision = 0;        // at which the range was read
  bool more = false;
};

struct Event {
  enum Type { kPut, kDelete } type = kPut;
  KeyValue current;  // for a delete: key, and mod_revision of the deletion
  Bytes previous;    // value before, null when it was created
  Revision previous_revision = 0;
};
// Events of one or more whole transactions, in order.
using WatchBatch = std::vector<Event>;

class Watch {
 public:
  virtual ~Watch() = default;  // no callback runs after it has returned
};

class Store {
 public:
  using CommitDone = std::move_only_function<void(Result<Committed>)>;
  using RangeDone = std::move_only_function<void(Result<RangeResult>)>;
  // Called with a batch, or once with an error (kGone: the revision is compacted or the reader too slow) as the last.
  using WatchFn = std::move_only_function<void(Result<WatchBatch>)>;

  virtual ~Store() = default;  // waits for queued commits
  virtual void commit(Txn txn, CommitDone done) = 0;
  virtual void range(RangeRequest request, RangeDone done) = 0;
  // Events of keys in [start, end) with revision > after, then live ones.
  virtual std::unique_ptr<Watch> watch(std::string start, std::string end, Revision after, WatchFn fn) = 0;
  virtual Revision revision() const = 0;                       // last committed
  virtual void compact(Revision before, CommitDone done) = 0;  // history older than this may go

  // Whether other processes write to it as well. Then what this process knows may be out of date, and sync() tells a
  // revision that holds every commit acknowledged anywhere before the call.
  virtual bool shared() const { return false; }
  virtual void sync(CommitDone done) { done(Committed{revision()}); }
  virtual bool answers() const { return true; }  // false while a store in another process is away
};

// First key after all keys that begin with the prefix; empty (no bound) when there is none.
std::string prefix_end(std::string prefix);

struct EmbeddedOptions {
  std::string path;                      // the database file; its directory exists
  std::size_t history_bytes = 32 << 20;  // watch ring
  std::chrono::seconds history{300};     // older revisions are compacted
  int checkpoint_frames = 1000;          // write-ahead log's length, in pages of 4 KiB, before it is moved
  std::string vfs;                       // SQLite VFS by name; empty: the default (fault tests give theirs)
};
Result<std::unique_ptr<Store>> open_embedded(EmbeddedOptions options);

}  // namespace lab::store
