// CertificateSigningRequests: approval of kubelets' requests, signing, and cleaning up (certificates.k8s.io/v1).
#pragma once

#include <functional>

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

inline constexpr const char* kClientKubeletSigner = "kubernetes.io/kube-apiserver-client-kubelet";
inline constexpr const char* kServingSigner = "kubernetes.io/kubelet-serving";
inline constexpr const char* kClientSigner = "kubernetes.io/kube-apiserver-client";
inline constexpr const char* kLegacySigner = "kubernetes.io/legacy-unknown";

// The certificate chain (PEM) for a request (PEM) as the signer of that name issues it.
using SignCertificate =
    std::function<Result<std::string>(const std::string& csr_pem, const std::string& signer, std::chrono::seconds)>;

// Approves requests of kubelets for their own certificates:
//  * client certificates for system:node:NAME, asked for by a joining node (group system:bootstrappers) or by the node
//    itself, or by whoever may create certificatesigningrequests/nodeclient or /selfnodeclient (SubjectAccessReview);
//  * serving certificates, asked for by the node itself, for its own names and addresses only.
class CsrApprover final : public QueueController {
 public:
  explicit CsrApprover(Context& context);

 private:
  Task<Result<void>> reconcile(std::string name) override;
  Task<Result<bool>> may(client::ObjectPtr csr, std::string subresource);
  Task<Result<void>> approve(client::ObjectPtr csr, std::string message);
  client::Informer& csrs_;
  client::Informer& nodes_;
};

// Signs what is approved, for the four signers above.
class CsrSigner final : public QueueController {
 public:
  CsrSigner(Context& context, SignCertificate sign, std::chrono::seconds longest);

 private:
  Task<Result<void>> reconcile(std::string name) override;
  client::Informer& csrs_;
  SignCertificate sign_;
  std::chrono::seconds longest_;
};

// Removes requests nobody needs any more: decided ones after an hour, pending ones after a day.
class CsrCleaner final : public QueueController {
 public:
  explicit CsrCleaner(Context& context);

 private:
  Task<Result<void>> reconcile(std::string name) override;
  client::Informer& csrs_;
};

// Why the signer would refuse this request; "" when it would not. `spec` is the CSR's spec; the rest is its request's
// subject and names.
struct CsrNames {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, addresses;
};
std::string refusal(const std::string& signer, const json::Value& spec, const CsrNames& names);

}  // namespace lab::controllers
