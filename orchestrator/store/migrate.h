// Moving a store's content into another store: the embedded one into etcd when a cluster is to have several masters,
// and back. Works on the interface alone. Blocking; neither store may be written by anybody else meanwhile.
//
// Revisions: the target counts its own, so objects get new resourceVersions. Its count is driven on until it has passed
// the source's, so that no client ever holds a version from before that the target has yet to give: a watch from an old
// version is answered with 410 Gone (or from the state itself), never with silently missing changes. Generations, uids
// and all else in objects stay byte by byte. History is not taken along.
//
// Killed in the middle it leaves a mark in the target (kMigrationMark), with which no server starts; run again it
// begins anew. The source is never changed.
#pragma once

#include <functional>
#include <string>

#include "orchestrator/store/store.h"

namespace lab::store {

inline constexpr const char* kMigrationMark = "/lab/migration";
inline constexpr const char* kObjects = "/registry/";  // the keys that are moved: all that a server keeps

struct Migration {
  std::size_t objects = 0;
  std::uint64_t bytes = 0;  // of keys and values
  Revision from_revision = 0, to_revision = 0;
};

// Conflict: the target holds objects already, or somebody writes one of the stores. The target is compared with the
// source, keys and bytes, before this returns. `on_step` hears a line for people, if given.
Result<Migration> migrate(Store& from, Store& to, std::function<void(const std::string&)> on_step = {});

// Conflict when a migration into this store was cut off.
Result<void> refuse_half_migrated(Store& store);

}  // namespace lab::store
