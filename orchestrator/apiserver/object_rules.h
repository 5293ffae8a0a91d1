// Rules of metadata and subresources that hold for every kind: pure functions over objects.
#pragma once

#include <string>

#include "base/io/loop.h"
#include "base/json.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/registry.h"

namespace lab::apiserver {

// Name (from generateName where it is absent), namespace, uid, creationTimestamp, generation; drops what only the
// server sets. BadRequest when the body contradicts the path.
Result<void> fill_metadata(const api::Kind& kind, std::string_view ns, json::Value& object, WallTime now);
// A fresh name from metadata.generateName.
std::string generated_name(std::string_view prefix);
// Puts back what no client may change, and refuses contradictions (name, namespace, uid, new finalizers on deletion).
Result<void> keep_metadata(const api::Kind& kind, std::string_view ns, std::string_view name, const json::Value& old,
                           json::Value& object);
// Takes from `object` only what the subresource owns; the rest is as it was.
void isolate_subresource(const api::Kind& kind, std::string_view subresource, const json::Value& old,
                         json::Value& object);
// Raises metadata.generation when anything but metadata and status changed.
void bump_generation(const api::Kind& kind, const json::Value& old, json::Value& object);

// Deletion time is set, no finalizer is left and no grace period runs.
bool ready_for_removal(const api::Kind& kind, const json::Value& object);

// What a DELETE comes to.
struct Deletion {
  enum What { kRemove, kMark, kNothing } what = kRemove;
  json::Value marked;  // for kMark: the object with its deletion time
};
Result<Deletion> plan_deletion(const api::Kind& kind, const json::Value& object, const DeleteRequest& request,
                               WallTime now);

// Kinds whose DELETE answers with the object instead of a Status.
bool returns_deleted_object(const api::Kind& kind);
// Kinds that a PUT may create.
bool allows_create_on_update(const api::Kind& kind);

}  // namespace lab::apiserver
