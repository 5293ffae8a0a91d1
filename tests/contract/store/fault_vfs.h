// A file system in memory for SQLite, with a power switch.
//
// Writes go to a volatile image and become durable by a sync of their file. After a budget of operations the power
// goes: every later call fails. restart() then makes the disk as a power cut may leave it: each unsynced write is kept,
// dropped, or kept for some of its 512-byte sectors only, in any combination (a disk may reorder what was not synced).
// One thread-safe instance; files of a name are shared by all connections.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace lab::store {

class FaultVfs {
 public:
  static constexpr const char* kName = "lab-fault";
  static FaultVfs& get();  // registers it with SQLite

  void format();                                  // an empty disk with power
  void cut_power_after(std::int64_t operations);  // writes, syncs, truncations and deletions from now on
  bool powered() const;
  void restart(std::uint64_t seed);  // all files are closed

  std::int64_t operations() const;
  std::int64_t log_syncs() const;         // syncs of files whose name ends in -wal
  void set_capacity(std::int64_t bytes);  // of the whole disk; negative: without bound
  void fail_syncs(bool fail);             // EIO from every sync
};

}  // namespace lab::store
