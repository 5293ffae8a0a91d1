// The certificate of a classroom that is served over TLS: the operator's own, or one of a CA that the classroom makes
// for itself. Blocking; what is made is kept in one directory, of one process at a time.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lab::classroom {

struct Certificate {
  std::string chain_pem, key_pem;
  std::string ca_file;  // what trusts it; empty for the operator's own
};

// Where the classroom's own CA is kept. It outlives classes: who trusts it is not to be asked again for the next one.
inline constexpr const char* kCertificateDirectory = "/var/lib/lab/classroom-tls";

// Names and addresses by which a machine is reached; text of IPv4 or IPv6 for the latter.
struct Names {
  std::vector<std::string> dns, addresses;
  void add(const std::string& host);  // either; once
};

// Of the operator's files. Invalid when they do not belong together, or the certificate has ended.
Result<Certificate> given_certificate(const std::string& certificate_file, const std::string& key_file);

// For these names, by the CA in the directory, which is made where there is none. The certificate of the last time is
// taken again while it has all of the names and some time left, so that its fingerprint stays. Interrupted, it is done
// again; keys can be read by the owner alone.
Result<Certificate> own_certificate(const std::string& directory, const Names& names);

// SHA-256 of the first certificate as browsers show it: "AB:CD:...".
Result<std::string> fingerprint(const std::string& chain_pem);

}  // namespace lab::classroom
