// TokenSource: one way to make an identity out of a bearer token.
//
// Thread-safe; decides from the token and from what the caches hold.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/apiserver/authn/authenticator.h"
#include "orchestrator/apiserver/identity.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver::authn {

struct TokenIdentity {
  Identity identity;
  std::vector<std::string> audiences;  // those of the asked-for ones that the token is good for
};

class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // Empty when the token is not of this source's kind; kUnauthorized when it is, and is bad.
  virtual Result<std::optional<TokenIdentity>> authenticate(std::string_view token,
                                                            const std::vector<std::string>& audiences) const = 0;
};

// The server's option for fixed tokens (kube-apiserver's --token-auth-file).
std::unique_ptr<TokenSource> static_tokens(std::vector<StaticToken> tokens);
// Secrets bootstrap-token-ID in kube-system.
std::unique_ptr<TokenSource> bootstrap_tokens(const ObjectReader& reader, Clock now);
// JWTs of ServiceAccounts: issued by this server for a time (bound), or kept in Secrets (legacy).
std::unique_ptr<TokenSource> service_account_tokens(const Options& options, const ObjectReader& reader);

// `the time (12m ago)`, for messages about what has expired.
std::string moment(WallTime t, WallTime now);

}  // namespace lab::apiserver::authn
