// ServiceProxy: makes Services work on this node (cluster IPs, node ports, external and load balancer IPs), in the
// kernel through nftables, from Services and EndpointSlices.
//
// The Node's own zone decides what topology hints mean here, so its Node is watched as well.
//
//   ServiceProxy proxy({.client = &client, .node_name = "node1", .service_cidr = ..., .pod_cidrs = {...}});
//   LAB_CHECK(proxy.start(scope));
//
// Lives on the scope's loop and must outlive the scope's tasks. What blocks runs on a thread of its own, in the network
// namespace of the thread that made the proxy. Changes that come together go to the kernel as one transaction; rules
// of a proxy that was killed go on working, and the next one changes what is no longer right.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/io/pool.h"
#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/proxy/health.h"
#include "orchestrator/proxy/ruleset.h"

namespace lab::proxy {

class Executor;

struct ProxyOptions {
  client::Client* client = nullptr;
  std::string node_name;                               // whose endpoints are local
  Cidr service_cidr;                                   // "10.96.0.0/12"; empty: no route is made for it
  std::vector<Cidr> pod_cidrs;                         // of the whole cluster: clients inside keep their address
  std::vector<IpAddress> served_here;                  // cluster IPs that this node answers itself (the cluster DNS)
  Duration check_interval = std::chrono::seconds(30);  // how often the table is looked for
};

class ServiceProxy {
 public:
  explicit ServiceProxy(ProxyOptions options);
  ~ServiceProxy();

  Result<void> start(Scope& scope);        // fails without the right to program nftables
  bool synced() const { return synced_; }  // the kernel holds all that the API server listed
  std::size_t frontends() const { return ruleset_.frontends(); }

  // Removes the table and the device of this node.
  static Result<void> clean_up();

 private:
  Task<void> keep_synced(std::stop_token stop);
  Task<Result<void>> sync_all();
  Task<Result<void>> sync_dirty();
  Task<void> sync_health();
  void take_zone(const client::ObjectPtr& node);
  Change update(const std::string& service);
  void mark(const std::string& service);

  ProxyOptions options_;
  client::Informer services_, slices_, nodes_;
  std::string zone_;
  Ruleset ruleset_;
  std::unique_ptr<Executor> executor_;
  std::map<std::string, HealthCheck> health_;  // by service
  bool health_changed_ = false;
  HealthChecks health_checks_;  // used in the pool only
  std::set<std::string> dirty_;
  Event changed_;
  bool synced_ = false;
  Pool pool_{"proxy", 1};  // last: its work uses what is above
};

}  // namespace lab::proxy
