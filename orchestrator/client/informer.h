// Informer: a local, always current copy of a resource, kept by list and watch; WorkQueue: the keys that await work.
//
// One loop. Handlers run on it, in order; they usually add a key to a queue. Objects are shared and immutable, always
// carry apiVersion and kind, and come without managedFields (they are large and no controller reads them).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/client/client.h"

namespace lab::client {

using ObjectPtr = std::shared_ptr<const json::Value>;

// "namespace/name", or "name" for cluster-scoped objects.
std::string key_of(const json::Value& object);
std::pair<std::string, std::string> split_key(const std::string& key);  // namespace (or ""), name

class Informer {
 public:
  // old is null on add, now is null on delete (old is then the last known object).
  using Handler = std::function<void(const ObjectPtr& old, const ObjectPtr& now)>;
  using IndexFn = std::function<std::vector<std::string>(const json::Value&)>;

  Informer(Client& client, Resource resource, ListOptions options = {}, std::string ns = {});
  ~Informer();

  void on_change(Handler handler);               // before start()
  void add_index(std::string name, IndexFn fn);  // before start()
  // Shrinks each object before it is kept (apiVersion, kind, name, namespace, uid and resourceVersion must stay).
  void set_transform(std::function<void(json::Value&)> fn);  // before start()
  void start(Scope& scope);                                  // lists, watches, re-lists for ever
  bool synced() const;
  Task<bool> wait_synced(std::stop_token stop = {});

  ObjectPtr get(const std::string& key) const;  // null when absent
  std::vector<ObjectPtr> list() const;          // unordered
  std::vector<ObjectPtr> list_namespace(const std::string& ns) const;
  std::vector<ObjectPtr> by_index(const std::string& index, const std::string& value) const;
  std::size_t size() const;
  // Takes in an object that this process just wrote, unless the cache already has a newer one. So a controller that
  // observes its own writes never acts on a cache older than them (client-go's "expectations" are not needed).
  void observe(json::Value object);
  // The object with this uid was deleted at the server by this process: later news of it are ignored.
  void observe_deletion(const std::string& key, std::string_view uid);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Keys to work on, each at most once in the queue and at most once in work, after client-go's workqueue.
class WorkQueue {
 public:
  explicit WorkQueue(Loop& loop);
  void add(const std::string& key);
  void add_after(const std::string& key, Duration delay);
  void add_rate_limited(const std::string& key);  // 5 ms, doubling, at most 30 s (per key)
  void forget(const std::string& key);            // resets the key's back-off
  int failures(const std::string& key) const;
  // The next key; nullopt when stopped. done(key) must follow.
  Task<std::optional<std::string>> get(std::stop_token stop);
  void done(const std::string& key);
  std::size_t size() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// The loop every controller runs: `workers` coroutines take keys and reconcile; a failure re-queues with back-off.
Task<void> run_workers(std::string name, WorkQueue& queue, int workers,
                       std::function<Task<Result<void>>(std::string)> reconcile, std::stop_token stop);

// Writes core/v1 Events, folding repeats of the same (object, reason, message) into one with a rising count.
class EventRecorder {
 public:
  EventRecorder(Client& client, Scope& scope, std::string component, std::string host = {});
  ~EventRecorder();
  // type is Normal or Warning; field_path such as "spec.containers{web}" may be empty. Never waits and never fails:
  // a flood about one object is thinned out, and what cannot be written is dropped.
  void event(const json::Value& object, std::string type, std::string reason, std::string message,
             std::string field_path = {});

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lab::client
