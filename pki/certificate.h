// Certificates: what they say, who issues them, and the pin by which a joining node knows the CA.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pki/key.h"

namespace lab::pki {

using WallTime = std::chrono::system_clock::time_point;

// The subject, names and uses that a certificate is to carry.
struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> addresses;        // IPv4 or IPv6 text
  bool server_auth = false, client_auth = false;
  std::chrono::hours validity{24 * 3650};
};

struct CertificateInfo {
  std::string common_name, issuer_common_name, serial;
  std::vector<std::string> organizations, dns_names, addresses;
  WallTime not_before, not_after;
  bool is_ca = false, server_auth = false, client_auth = false;
};

// Reads the first certificate of a PEM text.
Result<CertificateInfo> inspect(std::string_view pem);
// "sha256:<hex>" of the SubjectPublicKeyInfo, as --discovery-token-ca-cert-hash wants it.
Result<std::string> pin(std::string_view certificate_pem);
// Whether the key belongs to the certificate, and whether the CA signed it.
bool key_matches(std::string_view certificate_pem, const PrivateKey& key);
bool signed_by(std::string_view certificate_pem, std::string_view ca_pem);
// All certificates of a bundle, each as PEM.
std::vector<std::string> split_bundle(std::string_view pem);

class Authority {
 public:
  // A new self-signed CA. NotBefore is dated back by an hour, so that a joining machine's slow clock does not refuse it.
  static Authority create(const std::string& common_name, std::chrono::hours validity, KeyAlgorithm algorithm);
  static Authority create(const std::string& common_name, std::chrono::hours validity, PrivateKey key);
  // The certificate may be a bundle, as in the middle of a CA's rotation: the one that the key belongs to signs, and comes
  // first in certificate_pem(). Invalid when the key is none's, or it is no CA.
  static Result<Authority> from_pem(std::string certificate_pem, std::string_view key_pem);

  Result<std::string> issue(const CertificateSpec& spec, const PrivateKey& key) const;
  // Signs a request as it is (subject and names from it) for the given uses; the request's own signature is checked.
  Result<std::string> sign_request(std::string_view csr_pem, bool server_auth, bool client_auth,
                                   std::chrono::seconds validity) const;

  // Another CA's subject and key, vouched for by this one (RFC 4949: cross-certificate): sent behind a leaf of the other
  // CA, it lets those who trust this one alone verify the leaf.
  Result<std::string> cross_sign(std::string_view ca_pem) const;

  const std::string& certificate_pem() const { return certificate_pem_; }
  std::string key_pem() const { return key_.pem(); }

 private:
  Authority(std::string certificate_pem, PrivateKey key) : certificate_pem_(std::move(certificate_pem)), key_(std::move(key)) {}
  std::string certificate_pem_;
  PrivateKey key_;
};

}  // namespace lab::pki
