// Bootstrap tokens (kubernetes.io/docs: bootstrap-tokens): "abcdef.0123456789abcdef", id and secret.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::pki {

struct BootstrapToken {
  std::string id;       // 6 of [a-z0-9]
  std::string secret;   // 16 of [a-z0-9]
  std::string text() const { return id + "." + secret; }
  static BootstrapToken generate();
  static Result<BootstrapToken> parse(std::string_view text);   // Invalid says what a token looks like
};

// Detached JWS (HS256, RFC 7515 appendix F) over a kubeconfig, by which a joining node knows that the cluster-info it
// fetched was made by someone who has the token's secret. Stored as jws-kubeconfig-ID in ConfigMap cluster-info.
std::string sign_cluster_info(std::string_view kubeconfig, const BootstrapToken& token);
bool verify_cluster_info(std::string_view kubeconfig, std::string_view jws, const BootstrapToken& token);

// Ids of tokens that have expired lately, as an annotation of ConfigMap cluster-info: a join that comes too late is told
// since when. "ID=TIME,ID=TIME", the newest last; ids are public there anyway.
inline constexpr const char* kExpiredTokensAnnotation = "bootstrap.lab/expired-tokens";
// `list` with one more; the oldest give way. `time` is RFC 3339.
std::string with_expired_token(std::string_view list, const std::string& id, const std::string& time);
// When it expired; empty for one that is not in the list.
std::string expired_token_time(std::string_view list, std::string_view id);

}  // namespace lab::pki
