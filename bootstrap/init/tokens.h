// Bootstrap tokens as Secrets in kube-system (type bootstrap.kubernetes.io/token): `lab token` and init.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"
#include "pki/bootstrap_token.h"

namespace lab::bootstrap {

struct TokenRequest {
  pki::BootstrapToken token;
  std::chrono::seconds ttl{24 * 3600};       // 0: never expires
  std::string description;
  std::vector<std::string> usages{"signing", "authentication"};
  std::vector<std::string> groups;           // default: the kubeadm node group
};

struct TokenInfo {
  pki::BootstrapToken token;
  std::string expires;                       // RFC 3339; empty: never
  bool expired = false, default_node_token = false;
  std::string description;
  std::vector<std::string> usages, groups;
};

Result<void> create_token(Cluster& cluster, const TokenRequest& request);
Result<std::vector<TokenInfo>> list_tokens(Cluster& cluster);
// By id, or by the whole token.
Result<void> delete_token(Cluster& cluster, const std::string& id_or_token);

}  // namespace lab::bootstrap
