// The store's requests as etcd's messages, encoded, and back. No state, no I/O.
//
// An absent bound is etcd's zero byte: "\0" begins before every key, and as an end it means none.
#pragma once

#include "orchestrator/store/store.h"

namespace lab::store::etcd {

inline constexpr const char* kRange = "/etcdserverpb.KV/Range";
inline constexpr const char* kTxn = "/etcdserverpb.KV/Txn";
inline constexpr const char* kCompact = "/etcdserverpb.KV/Compact";
inline constexpr const char* kWatch = "/etcdserverpb.Watch/Watch";

// kInvalid for what no store takes; kTooLarge.
Result<void> check(const Txn& txn);
std::string encode(const Txn& txn);
// What became of it; a failed guard is the error that store.h promises. `now`: the store's revision in either case.
Result<Committed> decode_txn(const Txn& txn, const std::string& answer, Revision& now);

std::string encode(const RangeRequest& request);
Result<RangeResult> decode_range(const RangeRequest& request, const std::string& answer);
// The smallest linearizable read; its answer carries the current revision.
std::string encode_revision_read();
Result<Revision> decode_revision(const std::string& answer);

std::string encode_compaction(Revision before);

// Events from revision `from` on, that one included.
std::string encode_watch(const std::string& start, const std::string& end, Revision from);
struct WatchMessage {
  WatchBatch events;
  std::size_t bytes = 0;  // of keys and values
  Revision revision = 0;  // etcd's own, when it sent this
  bool cancelled = false;
  Revision compacted = 0;  // cancelled because of this
  std::string reason;
};
Result<WatchMessage> decode_watch(const std::string& message);

// etcd's refusals in the store's words ("required revision has been compacted" is kGone).
Error translated(Error error);

}  // namespace lab::store::etcd
