// The certificates of a control plane, as a table: kubeadm's names, subjects, uses and files.
//
//   ensure_certificates(options) makes what is missing, keeps what is valid, and never replaces a CA.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "pki/certificate.h"

namespace lab::pki {

struct CertificateSetOptions {
  std::string directory = "/etc/kubernetes/pki";
  std::string node_name;
  std::string advertise_address;
  std::string service_address;                  // first address of the service range: the `kubernetes` Service
  std::string service_dns_domain = "cluster.local";
  std::string control_plane_endpoint;           // host part; may be empty
  std::vector<std::string> extra_sans;          // names or addresses
  std::chrono::hours ca_validity{24 * 3650};
  std::chrono::hours validity{24 * 3650};       // a lab is not to die of old certificates
  KeyAlgorithm algorithm = KeyAlgorithm::kEcdsaP256;
};

// One row: its name is its kubeadm phase (certs/NAME) and, but for "sa", its file's base name.
struct CertificateRow {
  std::string name;
  std::string ca;                               // name of the issuing row; empty for a CA
  CertificateSpec (*spec)(const CertificateSetOptions&);
};
const std::vector<CertificateRow>& certificate_table();
// What a member of a stacked etcd and its clients have besides, with kubeadm's names below DIRECTORY/etcd.
const std::vector<CertificateRow>& etcd_certificate_table();
// The row of either table; null when there is none.
const CertificateRow* find_certificate(const std::string& name);

enum class Outcome { kCreated, kKept };
// Makes one row's files (NAME.crt 0644, NAME.key 0600) unless they are there and valid; the CA must exist already.
Result<Outcome> ensure_certificate(const CertificateRow& row, const CertificateSetOptions& options);
// sa.key and sa.pub, with which service account tokens are signed.
Result<Outcome> ensure_service_account_keys(const CertificateSetOptions& options);
Result<void> ensure_certificates(const CertificateSetOptions& options);

Result<Authority> load_authority(const std::string& directory, const std::string& name);

}  // namespace lab::pki
