// ObjectWatches: follows the ConfigMaps and Secrets that volumes of this node's pods are made of, each by a watch of
// its own (a node may see no others), so that a pod's files are brought up to date when the object changes.
//
// One loop. Without an API server nothing is followed. Objects marked immutable are not watched: they cannot change.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/agent/env.h"
#include "orchestrator/client/client.h"

namespace lab::agent {

class ObjectWatches {
 public:
  // An object that a pod follows was created or changed.
  using News = std::function<void(const ObjectRef& ref, const std::string& ns, ObjectPtr now,
                                  const std::set<std::string>& pods)>;
  explicit ObjectWatches(client::Client* client) : client_(client) {}

  // Nothing is followed before. The watches end with the scope.
  void start(Scope& scope, News news);
  // The pod (by uid) is made of these from now on; those that nobody uses any more are let go.
  void follow(const std::string& uid, const std::string& ns, const std::vector<ObjectRef>& refs);
  void forget(const std::string& uid) { follow(uid, {}, {}); }
  std::size_t size() const { return watches_.size(); }

 private:
  using Key = std::tuple<ObjectRef::Kind, std::string, std::string>;  // kind, namespace, name
  struct Watch {
    std::set<std::string> pods;
    Event left;
  };
  Task<void> run(Key key, std::shared_ptr<Watch> watch, std::stop_token stop);
  void leave(const Key& key, const std::string& uid);

  client::Client* client_;
  Scope* scope_ = nullptr;
  News news_;
  std::map<Key, std::shared_ptr<Watch>> watches_;
  std::map<std::string, std::set<Key>> by_pod_;
};

}  // namespace lab::agent
