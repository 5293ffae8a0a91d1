// ControllerManager: makes and starts the controllers of a cluster on one loop, over one client.
//
//   ControllerManager manager(client, options);
//   manager.start(scope);                 // all run until the scope is closed
//   co_await scope.close();               // before the manager is destroyed
//
// The client may be in-process or remote; several managers must not run at once (lead_while_holding, client/lease.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

struct ManagerOptions {
  // Names as in controller_names(); "*" all, "-NAME" all but that one.
  std::vector<std::string> controllers{"*"};

  // Networks out of which nodes get their podCIDRs, one of each family; empty: no node IPAM.
  std::vector<std::string> cluster_cidrs;
  int node_mask_ipv4 = 24, node_mask_ipv6 = 64;

  // PEM of the CA in every namespace's kube-root-ca.crt; empty: not published.
  std::string root_ca_pem;

  // Issues a certificate chain (PEM) for a request (PEM) as the named signer; empty: CSRs are not signed.
  std::function<Result<std::string>(const std::string& csr_pem, const std::string& signer,
                                    std::chrono::seconds validity)>
      sign_certificate;
  std::chrono::seconds certificate_validity{365 * 24 * 3600};  // at most, and where the request names none

  // Makes the token of a Secret of type kubernetes.io/service-account-token; empty: such Secrets stay empty.
  std::function<Result<std::string>(const json::Value& account, const json::Value& secret)> sign_token;

  Duration node_monitor_period = std::chrono::seconds(5);
  Duration node_monitor_grace = std::chrono::seconds(40);
  Duration node_startup_grace = std::chrono::seconds(60);
  std::size_t terminated_pod_threshold = 12500;
  Duration pod_gc_period = std::chrono::seconds(20);
  Duration pod_gc_quarantine = std::chrono::seconds(40);  // a node that vanished may come back
};

// All names, in the order in which they start.
std::vector<std::string> controller_names();

class ControllerManager {
 public:
  // Invalid for an unknown controller name or a bad network; nothing runs yet.
  static Result<std::unique_ptr<ControllerManager>> make(client::Client& client, ManagerOptions options);
  ~ControllerManager();
  void start(Scope& scope);
  // Whether every controller has seen the cluster's present state.
  bool ready() const;
  std::vector<std::string> running() const;

 private:
  struct Running;
  ControllerManager(client::Client& client, ManagerOptions options);
  client::Client& client_;
  ManagerOptions options_;
  std::unique_ptr<SharedInformers> informers_;
  std::vector<std::unique_ptr<Running>> running_;
};

}  // namespace lab::controllers
