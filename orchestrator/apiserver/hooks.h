// What one kind does differently on write, and the admission chain: the contract between the generic registry and the
// policies in admission/ and hooks/.
//
// Order of a create:  decode, metadata (name, uid, creationTimestamp), defaults, prepare_create, admit, validate,
// commit. Order of an update: decode, metadata rules, defaults, prepare_update, admit, validate, commit unless nothing
// changed. An update whose precondition failed on commit is begun again from the newly read object: hooks may run
// several times for one request, and must hold no effect outside the context (use the lists below for those).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io/loop.h"
#include "base/json.h"
#include "orchestrator/api/defaults.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/identity.h"
#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/store/store.h"

namespace lab::apiserver {

struct WriteContext {
  const Identity& user;
  // create, update, patch, delete (deletecollection admits as delete); update and patch also where they make an object
  std::string_view verb;
  const api::Kind& kind;
  std::string ns, name;     // name is set before admission, generateName resolved
  std::string subresource;  // "" for the object itself
  bool dry_run = false;
  const ObjectReader& reader;
  WallTime now;

  // Committed together with the object, or not at all.
  std::vector<store::Change> changes;
  std::vector<std::pair<std::string, store::Revision>> guards;
  // Called once when the write did not happen (refused later on, conflict, dry run): gives allocations back.
  std::vector<std::function<void()>> on_abort;
  // Called once after the commit, before the answer; must not wait.
  std::vector<std::function<void()>> on_commit;
  // Sent as Warning headers.
  std::vector<std::string> warnings;
};

struct Hooks {
  // Sets what the server alone decides (status reset, initial phase, allocations).
  std::function<Result<void>(WriteContext&, json::Value& object)> prepare_create;
  // Keeps what a client may not change. `old` is the stored object. For a subresource the engine has already taken over
  // only that subresource's fields from the client.
  std::function<Result<void>(WriteContext&, const json::Value& old, json::Value& object)> prepare_update;
  // Beyond api::validate_*; `old` is null on create. Must not mutate.
  std::function<std::vector<api::Finding>(const WriteContext&, const json::Value* old, const json::Value& object)>
      validate;
  // Before an object is deleted for good, or marked for deletion (finalizers, grace): may refuse.
  std::function<Result<void>(WriteContext&, const json::Value& object)> before_delete;
  // The object leaves the store with this commit: what was kept beside it (`changes`) goes along. Must not refuse.
  std::function<void(WriteContext&, const json::Value& object)> before_leave;
  // After the object has left the store.
  std::function<void(WriteContext&, const json::Value& object)> after_delete;
};

class WritePolicy {
 public:
  virtual ~WritePolicy() = default;
  // An empty member means "nothing to do". The reference lives as long as the policy. Any thread.
  virtual const Hooks& hooks_of(const api::Kind& kind) const = 0;
  // The admission chain. `object` is null on delete, `old` on create. Subresources: connect verbs (exec, attach,
  // portforward, proxy) are not admitted here. Errors are sent to the client as they are (usually kForbidden).
  virtual Result<void> admit(WriteContext& ctx, const json::Value* old, json::Value* object) const = 0;
  // The same for what is to be shown to mutating webhooks first: nothing is counted yet. admit() follows after them.
  virtual Result<void> admit_before_webhooks(WriteContext& ctx, const json::Value* old, json::Value* object) const = 0;
};

}  // namespace lab::apiserver
