// Core: the parts of one API server, wired together. server.cpp gives it sockets and a life.
#pragma once

#include <atomic>
#include <memory>

#include "orchestrator/apiserver/aggregator.h"
#include "orchestrator/apiserver/authn/authenticator.h"
#include "orchestrator/apiserver/authz/authz.h"
#include "orchestrator/apiserver/calls.h"
#include "orchestrator/apiserver/chain.h"
#include "orchestrator/apiserver/custom_resources.h"
#include "orchestrator/apiserver/hooks/masters.h"
#include "orchestrator/apiserver/metrics_api.h"
#include "orchestrator/apiserver/node_proxy.h"
#include "orchestrator/apiserver/paths.h"
#include "orchestrator/apiserver/registry.h"
#include "orchestrator/apiserver/server.h"
#include "pki/key.h"

namespace lab::apiserver {

// Members in the order of their making; each may refer to those above it.
struct Core {
  ServerOptions options;
  std::vector<pki::PublicKey> service_account_keys;
  std::optional<pki::PrivateKey> signing_key;
  KindTable kinds;
  Metrics metrics;
  std::unique_ptr<WatchCache> cache;
  std::unique_ptr<authn::ChainAuthenticator> authenticator;
  std::unique_ptr<authz::ChainAuthorizer> authorizer;
  std::unique_ptr<WritePolicy> policy;
  std::unique_ptr<Conversion> conversion;
  std::unique_ptr<AdmissionWebhooks> webhooks;
  std::unique_ptr<Registry> registry;
  CallTable calls;
  std::unique_ptr<NodeProxy> node_proxy;
  std::unique_ptr<MetricsApi> metrics_api;
  std::unique_ptr<Aggregator> aggregator;
  std::unique_ptr<Resources> resources;
  std::unique_ptr<Paths> paths;
  std::unique_ptr<CustomResources> custom_resources;
  std::unique_ptr<Chain> chain;
  std::unique_ptr<hooks::MasterLeases> masters;  // where the store is shared
  std::atomic<bool> system_objects_made{false};
  std::atomic<bool> shutting_down{false};

  static Result<std::shared_ptr<Core>> make(ServerOptions options);
  // Namespaces, priority classes, the default roles: what /readyz waits for. Any loop.
  Task<Result<void>> make_system_objects();
  // The `kubernetes` Service and its endpoints, pointing here; nothing without an advertised address.
  Task<Result<void>> keep_own_service(int port);
  // This server ends: with others beside it, the Service points at those alone.
  Task<void> leave_own_service();

 private:
  Result<void> load_keys();
  Result<void> wire();
};

}  // namespace lab::apiserver
