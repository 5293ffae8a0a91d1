// Registry: the one engine that writes objects of every kind.
//
// Values go in and come out in the version of the kind the request named; they are stored in the storage version.
// Writes run on the caller's loop and come back to it once the change is on disk and in the watch cache, so that the
// writer's next read sees it. A commit that lost a race is begun again from the newly read object unless the client
// gave a resourceVersion.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/io/task.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/admission_webhooks.h"
#include "orchestrator/apiserver/conversion.h"
#include "orchestrator/apiserver/hooks.h"
#include "orchestrator/apiserver/object_writer.h"
#include "orchestrator/apiserver/watch_cache.h"

namespace lab::apiserver {

enum class FieldValidation { kIgnore, kWarn, kStrict };

// What a subresource shows of an object, where that has a form of its own (Scale): webhooks see it, and may change it.
struct ShownAs {
  webhooks::ObjectKind kind;
  std::function<json::Value(const json::Value& object)> show;
  std::function<Result<json::Value>(json::Value object, const json::Value& shown)> take;
};

struct WriteOptions {
  Identity user;
  std::string verb;
  std::string subresource;
  bool dry_run = false;
  FieldValidation field_validation = FieldValidation::kWarn;
  std::vector<std::string> duplicate_fields;             // found in the request's text
  std::string field_manager;                             // who owns what this write changes
  bool names_manager = false, names_validation = false;  // the request says these two itself
  bool webhooks = true;  // false: the server's own writes, and steps of a request that has been admitted as a whole
  std::vector<std::string>* warnings = nullptr;  // takes what webhooks warn of, also when the write is refused
  std::optional<ShownAs> shown_as;
  bool apply = false;  // server-side apply: the object brings its managedFields
};

struct DeleteRequest {
  std::optional<std::int64_t> grace_seconds;
  std::string propagation;                // "", Orphan, Background, Foreground
  std::optional<bool> orphan_dependents;  // older spelling
  std::string uid, resource_version;      // preconditions
};

struct Written {
  CachedPtr object;   // as committed; null after a dry run
  json::Value value;  // of a dry run, in the storage version
  bool created = false;
  bool removed = false;  // the object has left the store
  std::vector<std::string> warnings;
};

class Registry final : public ObjectWriter {
 public:
  Registry(store::Store& store, WatchCache& cache, const KindTable& kinds, const WritePolicy& policy,
           const Conversion& conversion, const AdmissionWebhooks& webhooks);

  // The new object in the request's version, made of the current one.
  using Transform = std::function<Result<json::Value>(const json::Value& current)>;

  Task<Result<Written>> create(api::KindPtr kind, std::string ns, json::Value object, WriteOptions options);
  // `may_create`: a PUT of an absent object creates it, for kinds that allow it.
  Task<Result<Written>> update(api::KindPtr kind, std::string ns, std::string name, Transform transform,
                               WriteOptions options, bool may_create = false);
  Task<Result<Written>> remove(api::KindPtr kind, std::string ns, std::string name, DeleteRequest request,
                               WriteOptions options);

  // ObjectWriter
  Task<Result<json::Value>> create(api::KindPtr kind, json::Value object) override;
  Task<Result<json::Value>> mutate(api::KindPtr kind, std::string ns, std::string name, Change change,
                                   std::string subresource) override;
  Task<Result<void>> remove(api::KindPtr kind, std::string ns, std::string name) override;

  // The stored kind behind a request's kind.
  api::KindPtr storage_kind(const api::Kind& kind) const;
  WatchCache& cache() { return cache_; }
  store::Store& store() { return store_; }
  const Conversion& conversion() const { return conversion_; }
  const AdmissionWebhooks& webhooks() const { return webhooks_; }
  // Where other servers write to the store as well: waits until the cache shows all that any of them had acknowledged
  // before the call. Nothing to wait for in a store of one's own.
  Task<Result<void>> catch_up();

 private:
  WriteContext context(const api::Kind& kind, std::string ns, std::string name, const WriteOptions& options) const;
  // What an object is while it is worked on. Built-in kinds: the storage version. Custom ones: the version of the
  // request, whose schema it is held against.
  static api::KindPtr working_kind(const api::KindPtr& kind, const api::KindPtr& storage);

  // A create: begin, mutating webhooks, finish, validating webhooks. What is not concerned by any takes the straight
  // way.
  Result<json::Value> begin_create(const api::Kind& kind, WriteContext& ctx, const json::Value& decoded);
  Result<void> finish_create(const api::Kind& kind, WriteContext& ctx, json::Value& object);
  Task<Result<json::Value>> admitted_create(api::KindPtr kind, api::KindPtr working, WriteContext& ctx,
                                            const json::Value& decoded, const WriteOptions& options);
  // An update, in the same steps.
  struct Draft {
    json::Value old, object, managed;  // in the working version
  };
  Result<Draft> begin_update(const api::Kind& kind, const api::Kind& working, WriteContext& ctx,
                             const CachedObject& current, const json::Value& old, json::Value object,
                             const WriteOptions& options);
  Result<void> shape_update(const api::Kind& working, WriteContext& ctx, Draft& change);
  Result<void> finish_update(const api::Kind& kind, const api::Kind& working, WriteContext& ctx,
                             const CachedObject& current, Draft& change, const WriteOptions& options);
  Task<Result<json::Value>> admitted_update(api::KindPtr kind, api::KindPtr working, WriteContext& ctx,
                                            CachedPtr current, const json::Value& old, json::Value object,
                                            const WriteOptions& options);

  // registry_webhooks.cpp. Null where no webhook is concerned.
  std::unique_ptr<WebhookRun> webhooks_for(std::string_view operation, const api::KindPtr& kind,
                                           const api::KindPtr& working, const WriteContext& ctx,
                                           const WriteOptions& options, const DeleteRequest* deletion = nullptr) const;
  Task<Result<void>> mutate_by(WebhookRun& run, WriteContext& ctx, const json::Value* old, json::Value& object,
                               const WriteOptions& options);
  Task<Result<void>> validate_by(WebhookRun& run, const json::Value* old, const json::Value& object,
                                 const WriteOptions& options);
  Task<Result<void>> admit_deletion(api::KindPtr kind, api::KindPtr storage, WriteContext& ctx,
                                    const json::Value& object, const WriteOptions& options,
                                    const DeleteRequest& request);
  Task<Result<store::Revision>> commit(WriteContext& ctx, std::string key, store::Bytes value, ObjectMeta meta,
                                       std::optional<store::Revision> expect);
  // Commits and waits until the cache shows it.
  Task<Result<Written>> put(WriteContext& ctx, const api::Kind& storage, json::Value object, store::Revision expect);
  Task<Result<Written>> erase(WriteContext& ctx, const api::Kind& storage, CachedPtr current, json::Value value);

  store::Store& store_;
  WatchCache& cache_;
  const KindTable& kinds_;
  const WritePolicy& policy_;
  const Conversion& conversion_;
  const AdmissionWebhooks& webhooks_;
};

// The zero values that Go's encoder writes, so that clients see the same text as from kube-apiserver.
void complete_encoding(const api::Kind& kind, json::Value& object);
// A new object's decoding: strictness, wrong types, normal form. Findings become warnings or a 400.
Result<void> decode_strictly(const api::Kind& kind, json::Value& object, const WriteOptions& options,
                             std::vector<std::string>& warnings);

}  // namespace lab::apiserver
