// Executor: carries the proxy's changes out on the kernel of one network namespace, that of the thread that opened it.
//
// Blocking; one call at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/nft/nft.h"
#include "orchestrator/proxy/ruleset.h"

namespace lab::proxy {

class Executor {
 public:
  // A locally made connection to a cluster IP needs a route before it can be translated: `service_cidr` gets one,
  // through a device of its own, lab-services.
  static Result<Executor> open(Cidr service_cidr);

  Result<void> prepare();  // forwarding, loopback node ports, the route; repeatable
  Result<void> run(const std::string& script);
  Result<bool> table_is_there();  // someone may have flushed the ruleset
  // Forgets UDP flows and remembered clients that lead to endpoints that are gone.
  Result<void> forget(const std::vector<StaleFlows>& stale, const std::set<std::string>& sticky_gone);

  // Removes the table, and the device with its route; absent is fine.
  static Result<void> clean_up();

 private:
  Executor(Cidr service_cidr, Nft nft) : service_cidr_(service_cidr), nft_(std::move(nft)) {}
  Result<void> forget_clients(const std::set<std::string>& sticky_gone);

  Cidr service_cidr_;
  Nft nft_;
};

}  // namespace lab::proxy
