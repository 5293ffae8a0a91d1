// TLS bootstrap (kubernetes.io/docs: kubelet-tls-bootstrapping): how a node turns a token into a certificate of its own.
//
// Blocking. Killed at any point and run again, it goes on with the same key and the same request.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::join {

struct TlsBootstrapOptions {
  std::string bootstrap_kubeconfig = "/etc/kubernetes/bootstrap-kubelet.conf";
  std::string kubeconfig = "/etc/kubernetes/kubelet.conf";
  std::string pki_directory = "/var/lib/kubelet/pki";
  std::string node_name;
};

// Returns at once when the kubeconfig holds a certificate that is good; else waits for the bootstrap kubeconfig, asks
// for a certificate, waits for it, and writes PKI/kubelet-client-current.pem and the kubeconfig that points to it.
Result<void> ensure_client_certificate(const TlsBootstrapOptions& options);

// Asks for a certificate anew with the credentials of `kubeconfig`, and makes it the current one there.
Result<void> renew_client_certificate(const TlsBootstrapOptions& options);

struct ServingCertificate {
  std::string certificate_pem, key_pem;
};
// PKI/kubelet.crt and kubelet.key, self-signed, as the kubelet makes them; kept while they belong together, name the
// address and are not due for their renewal (pki/rotation.h).
Result<ServingCertificate> ensure_serving_certificate(const std::string& pki_directory, const std::string& node_name,
                                                      const std::string& address);

}  // namespace lab::join
