// SharedInformers: one informer per resource for all controllers of a process, with the indexes they share.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <tuple>

#include "orchestrator/client/informer.h"

namespace lab::controllers {

// Indexes, by name:
//   "controller"  pods, replicasets, jobs, controllerrevisions: uid of the controlling owner, or "orphan/NAMESPACE"
//   "node"        pods: spec.nodeName
//   "label"       pods: "NAMESPACE/KEY=VALUE" of every label but those that differ from pod to pod; see selected_pods
//   "selector"    services: "NAMESPACE/KEY=VALUE" of the first pair of spec.selector
//   "service"     endpointslices: "NAMESPACE/SERVICE"
class SharedInformers {
 public:
  explicit SharedInformers(client::Client& client) : client_(client) {}

  // Made on first use. Before start() handlers and indexes may be added to it; one made afterwards starts on its own,
  // after `prepare` had its chance to add handlers.
  client::Informer& of(const client::Resource& r, std::function<void(client::Informer&)> prepare = {});
  // Owner, finalizers and deletion of the objects only; the full informer where there is one already.
  client::Informer& metadata_of(const client::Resource& r, std::function<void(client::Informer&)> prepare = {});
  void start(Scope& scope);
  bool synced() const;
  client::Client& client() { return client_; }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;
  client::Informer& make(const client::Resource& r, bool metadata_only, std::function<void(client::Informer&)> prepare);
  client::Client& client_;
  Scope* scope_ = nullptr;
  std::deque<std::string> names_;  // what Resources of the informers point into
  std::map<Key, std::unique_ptr<client::Informer>> full_, metadata_;
};

// The pods that a plain map of labels (Service.spec.selector) selects, found through the "label" index.
std::vector<client::ObjectPtr> selected_pods(const client::Informer& pods, const std::string& ns,
                                             const json::Object& selector);

// Value of the "controller" index for pods without a controller.
std::string orphans_of(const std::string& ns);

}  // namespace lab::controllers
