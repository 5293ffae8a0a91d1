// Volumes: makes a pod's volumes stand in its directory, keeps their files current, and takes them down.
//
// set_up() is level-triggered: calling it again brings changed ConfigMaps, Secrets, labels and rotated tokens into the
// files and leaves the rest alone; ObjectWatches tell when there is something to bring. Supported: emptyDir, hostPath,
// configMap, secret, downwardAPI, projected (with serviceAccountToken), and persistentVolumeClaim/ephemeral bound to a
// hostPath or local volume. One loop; file work runs in the pool.
#pragma once

#include <map>
#include <string>

#include "base/io/pool.h"
#include "orchestrator/agent/volumes/payload.h"
#include "orchestrator/agent/volumes/watches.h"
#include "orchestrator/client/client.h"

namespace lab::agent {

// ROOT/pods/UID and what stands below.
std::string pod_directory(const std::string& root, const std::string& uid);
std::string volume_directory(const std::string& root, const std::string& uid, const std::string& plugin,
                             const std::string& name);

// Fetches the objects that a pod names; null for those that do not exist. An object younger than max_age in the cache
// is not asked for again.
class ObjectFetcher {
 public:
  explicit ObjectFetcher(client::Client* client) : client_(client) {}
  Task<Result<FetchedObjects>> fetch(std::string ns, std::vector<ObjectRef> refs, Duration max_age);
  // What a watch has seen. True when it is newer than what is known here.
  bool observe(ObjectRef::Kind kind, const std::string& ns, const std::string& name, ObjectPtr object);
  client::Client* client() { return client_; }

 private:
  struct Cached {
    ObjectPtr object;
    TimePoint at;
  };
  client::Client* client_;  // null without an API server: nothing can be fetched
  std::map<std::string, Cached> cache_;
};

// Service account tokens bound to a pod; renewed after 80% of their life or a day.
class TokenSource {
 public:
  explicit TokenSource(client::Client* client) : client_(client) {}
  Task<Result<std::string>> token(ObjectPtr pod, TokenRef ref);
  void forget(const std::string& uid);
  // All are asked for anew at the next look at the volumes; while that fails the old ones serve.
  void renew_all();

 private:
  struct Cached {
    std::string token;
    WallTime renew_at;
  };
  client::Client* client_;
  std::map<std::string, std::map<TokenRef, Cached>> tokens_;  // by pod uid
};

class Volumes {
 public:
  Volumes(std::string root, ObjectFetcher& objects, ObjectWatches& watches, TokenSource& tokens, Pool& pool)
      : root_(std::move(root)), objects_(objects), watches_(watches), tokens_(tokens), pool_(pool) {}

  // Volume name -> path on this node. max_age: how old the fetched objects may be (zero: ask now).
  Task<Result<std::map<std::string, std::string>>> set_up(ObjectPtr pod, PodFacts facts, Duration max_age);
  // Unmounts everything of the pod and removes its directory.
  Task<Result<void>> tear_down(std::string uid);
  // Whether any of its files may change while the pod runs.
  static bool changes(const json::Value& pod);

 private:
  Task<Result<std::string>> set_up_one(ObjectPtr pod, const json::Value* volume, PodFacts facts, Duration max_age);
  Task<Result<std::string>> set_up_claim(ObjectPtr pod, std::string claim);

  std::string root_;
  ObjectFetcher& objects_;
  ObjectWatches& watches_;
  TokenSource& tokens_;
  Pool& pool_;
};

}  // namespace lab::agent
