// StatusManager: brings pod statuses to the API server, each only when it changed, newest first, one write at a time
// per pod. A write that fails is tried again with back-off until a newer status replaces it or the pod is gone. One
// loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/agent/pod.h"

namespace lab::agent {

class StatusManager {
 public:
  StatusManager(client::Client* client, Scope& scope) : client_(client), scope_(scope) {}

  // `target` is the API's object: the pod itself, or a static pod's mirror. `delay`: the write may wait that long for a
  // newer status (the first one of a pod that is about to run).
  void set(const ObjectPtr& target, const std::string& uid, json::Value status, Duration delay = Duration::zero());
  // What the API server shows now. Others may write conditions too: the node life cycle marks the pods of a silent node
  // not ready, and it is for its agent to say that they are. A difference in readiness is written anew, at once or,
  // when a write is on its way, after it.
  void observed(const ObjectPtr& pod);
  // What was set last; null when nothing was.
  const json::Value& last(const std::string& uid) const;
  // True when the newest status is on the server (or no server is used, or the pod is gone there).
  bool written(const std::string& uid) const;
  Task<bool> wait_written(std::string uid, std::stop_token stop);
  void forget(const std::string& uid);

 private:
  struct Entry {
    ObjectPtr target;
    json::Value wanted, stored;   // stored: what the server is known to hold
    ObjectPtr shown;              // what observed() was given last
    std::int64_t written_at = 0;  // the resourceVersion that the last write made: what is shown of before it is stale
    bool running = false, gone = false, dirty = false;
    TimePoint not_before;
    Event changed;
  };
  static bool overwritten(Entry& entry);
  void start_writing(const std::shared_ptr<Entry>& entry);
  Task<void> write_loop(std::shared_ptr<Entry> entry);

  client::Client* client_;  // null: statuses are only kept
  Scope& scope_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace lab::agent
