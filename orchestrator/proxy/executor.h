// Executor: carries the proxy's changes out on the kernel of one network namespace, that of the thread that opened it.
//
// Blocking; one call at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/nft/nft.h"
#include "orchestrator/proxy/ruleset.h"

namespace lab::proxy {

struct RememberedClient;

class Executor {
 public:
  // A locally made connection to a cluster IP needs a route before it can be translated: `service_cidr` gets one,
  // through a device of its own, lab-services.
  static Result<Executor> open(Cidr service_cidr);

  Result<void> prepare();  // forwarding, loopback node ports, the route; repeatable
  Result<void> run(const std::string& script);
  Result<bool> table_is_there();  // someone may have flushed the ruleset
  // What the table holds; nothing when there is none.
  Result<std::optional<Listing>> list();
  // Forgets UDP flows and remembered clients that lead to endpoints that went with a change.
  Result<void> forget(const std::vector<StaleFlows>& stale, const std::set<std::string>& sticky_gone);

  // The same for all flows and clients, whenever their endpoints went: for a proxy that was away.
  Result<void> forget_unserved(const Serving& serving);

  // Removes the table, and the device with its route; absent is fine.
  static Result<void> clean_up();

 private:
  Executor(Cidr service_cidr, Nft nft) : service_cidr_(service_cidr), nft_(std::move(nft)) {}
  Result<void> forget_clients(const std::function<bool(const RememberedClient&)>& gone);

  Cidr service_cidr_;
  Nft nft_;
};

}  // namespace lab::proxy
