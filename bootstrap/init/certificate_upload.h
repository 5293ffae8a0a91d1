// The certificates that all masters share, kept in the cluster for those that join: Secret kube-system/kubeadm-certs,
// each file sealed by AES-256-GCM under the certificate key, which never enters the cluster. kubeadm's format, so that
// either reads what the other wrote. Blocking.
//
// The Secret belongs to a bootstrap token of two hours that serves no other purpose: it goes when the token expires.
#pragma once

#include <string>

#include "bootstrap/common/cluster.h"

namespace lab::bootstrap {

// 32 random bytes in hexadecimal.
std::string new_certificate_key();
// Raw bytes; kInvalid for anything but 64 hexadecimal digits.
Result<std::string> parse_certificate_key(const std::string& text);

// CAs, their keys and the service account keys of `cert_dir`; etcd's CA if it is there.
Result<void> upload_certificates(Cluster& cluster, const std::string& cert_dir, const std::string& key);
// Files that are there already must be the same. kNotFound when nothing is uploaded (any more).
Result<void> download_certificates(Cluster& cluster, const std::string& cert_dir, const std::string& key);

}  // namespace lab::bootstrap
