// Server-side apply (KEP-555): a client sends the fields it has an opinion about; the server merges them, remembers who
// owns what in metadata.managedFields, takes out what its owner no longer names, and refuses to overwrite others.
//
// Ownership is kept for objects that were applied at least once; other writes to those pass ownership on.
#pragma once

#include <string>

#include "base/io/loop.h"
#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::apiserver {

struct Manager {
  std::string name;
  std::string subresource;
  bool force = false;  // take fields over from others
  WallTime now;
};

// The object after applying `config` to `live` (null: there is none yet), both in the kind's version. kConflict names
// every field that somebody else owns.
Result<json::Value> apply_config(const api::Kind& kind, const json::Value& live, json::Value config,
                                 const Manager& manager);
// After another kind of write: what it changed now belongs to its writer. Nothing happens without managedFields.
void pass_ownership(const api::Kind& kind, const json::Value& old, json::Value& object, const Manager& manager);

}  // namespace lab::apiserver
