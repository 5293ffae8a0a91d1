// What every namespace has: the ServiceAccount "default" and the ConfigMap "kube-root-ca.crt".
#pragma once

#include <functional>

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

class ServiceAccountController final : public QueueController {
 public:
  explicit ServiceAccountController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string ns) override;
  client::Informer& namespaces_;
  client::Informer& accounts_;
};

// Publishes the CA by which pods know the API server, and repairs what others change in it.
class RootCaPublisher final : public QueueController {
 public:
  RootCaPublisher(Context& context, std::string ca_pem);

 private:
  Task<Result<void>> reconcile(std::string ns) override;
  client::Informer& namespaces_;
  client::Informer& configmaps_;
  std::string ca_pem_;
};

// Fills Secrets of type kubernetes.io/service-account-token that people create, and removes those whose account is
// gone.
class TokenSecretController final : public QueueController {
 public:
  // The token for a Secret's account; without expiry, bound to the Secret by its claims.
  using SignToken = std::function<Result<std::string>(const json::Value& account, const json::Value& secret)>;
  TokenSecretController(Context& context, std::string ca_pem, SignToken sign);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  client::Informer& secrets_;
  client::Informer& accounts_;
  std::string ca_pem_;
  SignToken sign_;
};

}  // namespace lab::controllers
