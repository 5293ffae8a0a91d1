// Who may approve and who may sign a certificate request, by signer; and which subjects nobody may ask for.
#include "base/crypto/encoding.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "pki/csr.h"

namespace lab::apiserver::admission {
namespace {

using json::Value;

bool is_request(const WriteContext& ctx) {
  return is(ctx, "certificates.k8s.io", "certificatesigningrequests");
}

bool allowed_for_signer(const authz::ChainAuthorizer& authorizer, const Identity& user, std::string_view verb,
                        std::string_view name) {
  Attributes a{.user = &user,
               .verb = verb,
               .group = "certificates.k8s.io",
               .version = "*",
               .resource = "signers",
               .subresource = {},
               .ns = {},
               .name = name,
               .path = {}};
  return authorizer.authorize(a).allowed();
}

// Permission for the signer itself, or for all of its domain: "kubernetes.io/*".
Result<void> check_signer(const WriteContext& ctx, const authz::ChainAuthorizer& authorizer, std::string_view verb,
                          const Value& request) {
  std::string_view signer = json::str(request, "spec", "signerName");
  std::string domain = std::string(signer.substr(0, signer.find('/'))) + "/*";
  if (allowed_for_signer(authorizer, ctx.user, verb, signer) || allowed_for_signer(authorizer, ctx.user, verb, domain))
    return {};
  return refuse(
      ctx, "user not permitted to " + std::string(verb) + " requests with signerName \"" + std::string(signer) + "\"");
}

}  // namespace

Plugin certificate_approval(const authz::ChainAuthorizer& authorizer) {
  return {"CertificateApproval", [&authorizer](WriteContext& ctx, const Value* old, Value* object) -> Result<void> {
            if (!is_request(ctx) || ctx.subresource != "approval" || !old || !object) return {};
            return check_signer(ctx, authorizer, "approve", *old);
          }};
}

Plugin certificate_signing(const authz::ChainAuthorizer& authorizer) {
  return {"CertificateSigning", [&authorizer](WriteContext& ctx, const Value* old, Value* object) -> Result<void> {
            if (!is_request(ctx) || ctx.subresource != "status" || !old || !object) return {};
            if (json::at(*old, "status") == json::at(*object, "status")) return {};
            return check_signer(ctx, authorizer, "sign", *old);
          }};
}

Result<void> certificate_subject_restriction(WriteContext& ctx, const Value* old, Value* object) {
  if (!is_request(ctx) || !is_create(ctx, old, object)) return {};
  constexpr std::string_view kSigner = "kubernetes.io/kube-apiserver-client";
  if (json::str(*object, "spec", "signerName") != kSigner) return {};
  auto pem = crypto::base64_decode(json::str(*object, "spec", "request"));
  if (!pem) return {};  // validation says so
  auto info = pki::inspect_csr(*pem);
  if (!info) return {};
  for (const auto& organization : info->organizations)
    if (organization == kMastersGroup)
      return refuse(ctx, "use of " + std::string(kSigner) + " signer with " + std::string(kMastersGroup) +
                             " group is not allowed");
  return {};
}

}  // namespace lab::apiserver::admission
