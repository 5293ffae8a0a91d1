// Certificate signing requests (PKCS #10).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pki/certificate.h"
#include "pki/key.h"

namespace lab::pki {

// Uses and validity of the spec are not part of a request; the signer decides them.
std::string make_csr(const PrivateKey& key, const CertificateSpec& spec);

struct CsrInfo {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, addresses;
};
Result<CsrInfo> inspect_csr(std::string_view pem);

}  // namespace lab::pki
