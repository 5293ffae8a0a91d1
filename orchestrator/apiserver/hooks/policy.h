// The server's write policy: the kinds' hooks and the admission chain, behind the registry's WritePolicy.
//
// Thread-safe. The authorizer must outlive it.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/apiserver/authn/authenticator.h"
#include "orchestrator/apiserver/authz/authz.h"
#include "orchestrator/apiserver/calls.h"
#include "orchestrator/apiserver/hooks.h"
#include "pki/key.h"

namespace lab::apiserver::hooks {

struct PolicyOptions {
  std::string service_cidr = "10.96.0.0/12";  // IPv4
  int node_port_first = 30000, node_port_last = 32767;
  bool shared_store = false;     // other servers write to it as well
  int failure_toleration = 300;  // seconds, see admission.h
};
// Invalid when the range of Services is no IPv4 network.
Result<std::unique_ptr<WritePolicy>> make_write_policy(PolicyOptions options, const authz::ChainAuthorizer& authorizer);

struct TokenIssuer {
  std::optional<pki::PrivateKey> key;  // none: serviceaccounts/token answers NotFound
  std::string issuer;
  std::vector<std::string> audiences;  // of tokens that ask for none
};
// TokenReview, the SubjectAccessReview family, SelfSubjectReview, SelfSubjectRulesReview.
void add_review_calls(CallTable& calls, const authn::ChainAuthenticator& authenticator, const Authorizer& authorizer);
// serviceaccounts/token.
void add_token_calls(CallTable& calls, TokenIssuer issuer);

struct OwnAddress {
  std::string service_cidr = "10.96.0.0/12";
  std::vector<std::string> addresses;  // where clients in the cluster reach the masters, sorted
  int port = 6443;
};
// Service default/kubernetes with the range's first address, its Endpoints and EndpointSlice with the masters'.
Task<Result<void>> keep_kubernetes_service(const ObjectReader& reader, ObjectWriter& writer, OwnAddress own);

}  // namespace lab::apiserver::hooks
