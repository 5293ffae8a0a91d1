// Garbage collector: deletes objects whose owners are gone, and carries out foreground and orphaning deletion.
//
// It follows the metadata of every kind that can be listed, watched and deleted, custom resources included: discovery
// is repeated when CRDs change. The graph may lag; every deletion is decided by a live look at the object and its
// owners, and carries the object's uid.
#pragma once

#include <map>
#include <unordered_map>

#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/discovery.h"
#include "orchestrator/controllers/owner_graph.h"

namespace lab::controllers {

class GarbageCollector final : public Controller {
 public:
  struct Options {
    Duration rediscover = std::chrono::seconds(30);
  };
  GarbageCollector(Context& context, Options options);
  std::string_view name() const override { return "garbage-collector"; }
  void start(Scope& scope) override;

 private:
  Task<void> run(std::stop_token stop);
  Task<void> watch_all(std::stop_token stop);
  Task<bool> follow_new_kinds();
  Task<Result<void>> reconcile(std::string uid);
  Task<Result<void>> finish_foreground(json::Value live, client::Resource kind, std::string uid);
  Task<Result<void>> orphan_dependents(json::Value live, client::Resource kind, std::string uid);
  Task<Result<void>> collect_if_unowned(json::Value live, client::Resource kind);
  Task<Result<void>> drop_finalizer(json::Value live, client::Resource kind, std::string finalizer);
  // Whether an owner exists under that name with that uid; its object when it does.
  Task<Result<std::optional<json::Value>>> look_up(OwnerRef owner, std::string ns);
  std::optional<client::Resource> resource_of(const std::string& api_version, const std::string& kind) const;
  void queue_all(const std::vector<std::string>& uids);

  Context& context_;
  Options options_;
  client::WorkQueue queue_;
  OwnerGraph graph_;
  std::map<std::pair<std::string, std::string>, Discovered> kinds_;  // by apiVersion and kind
  std::vector<client::Informer*> informers_;
  std::unordered_map<std::string, TimePoint> absent_owners_;  // uids that were not found, and when
  Event rediscover_;
};

}  // namespace lab::controllers
