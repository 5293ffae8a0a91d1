// Bootstrap tokens: expiry, and the signatures in ConfigMap kube-public/cluster-info by which joining nodes trust it.
#pragma once

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

// Removes expired Secrets of type bootstrap.kubernetes.io/token, and keeps in cluster-info's annotations when each did
// (pki::kExpiredTokensAnnotation).
class TokenCleaner final : public QueueController {
 public:
  explicit TokenCleaner(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> remember(std::string id, WallTime expiry);
  client::Informer& secrets_;
  client::Informer& configmaps_;
};

// Keeps jws-kubeconfig-ID in cluster-info for every token that may sign, and no others.
class ClusterInfoSigner final : public QueueController {
 public:
  explicit ClusterInfoSigner(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  client::Informer& secrets_;
  client::Informer& configmaps_;
};

// The signatures that cluster-info is to carry: field name to detached JWS.
json::Object cluster_info_signatures(std::string_view kubeconfig, const std::vector<client::ObjectPtr>& secrets,
                                     WallTime now);

}  // namespace lab::controllers
