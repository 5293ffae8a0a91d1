// The server's chain of authenticators: client certificate, then bearer token, then system:anonymous.
//
// A credential that is bad is refused with 401 and a reason that a person understands; it never becomes anonymous.
// Thread-safe. The reader must outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/loop.h"
#include "orchestrator/apiserver/identity.h"
#include "orchestrator/apiserver/object_reader.h"
#include "pki/key.h"

namespace lab::apiserver::authn {

using Clock = std::function<WallTime()>;

struct StaticToken {
  std::string token, user, uid;
  std::vector<std::string> groups;
};

struct Options {
  std::vector<pki::PublicKey> service_account_keys;  // empty: no ServiceAccount token is accepted
  std::string issuer = "https://kubernetes.default.svc.cluster.local";
  std::vector<std::string> audiences;  // this server's; empty: the issuer
  std::vector<StaticToken> tokens;
  bool anonymous = true;
  Clock now;  // empty: the system's

  std::vector<std::string> own_audiences() const {
    return audiences.empty() ? std::vector<std::string>{issuer} : audiences;
  }
};

class TokenSource;
struct TokenIdentity;

class ChainAuthenticator final : public Authenticator {
 public:
  ChainAuthenticator(Options options, const ObjectReader& reader);
  ~ChainAuthenticator() override;

  Result<std::optional<Identity>> authenticate(const http::Request& request) const override;
  // For TokenReview; `audiences` empty: this server's own.
  Result<TokenIdentity> authenticate_token(std::string_view token, const std::vector<std::string>& audiences) const;
  const Options& options() const { return options_; }

 private:
  Options options_;
  std::vector<std::unique_ptr<TokenSource>> sources_;
};

// The bearer token of a request: from Authorization, or from the WebSocket subprotocol that browsers must use
// (base64url.bearer.authorization.k8s.io.TOKEN). "" when there is none.
std::string bearer_token(const http::Request& request);

}  // namespace lab::apiserver::authn
