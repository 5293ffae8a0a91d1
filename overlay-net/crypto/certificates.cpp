// Proof by the cluster's certificates: two bytes of length, the certificate (DER, which is small enough for one
// datagram), the signature.
#include <algorithm>
#include <chrono>

#include "base/crypto/encoding.h"
#include "base/log.h"
#include "overlay-net/crypto/handshake.h"
#include "pki/certificate.h"

namespace lab::overlay {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----\n", kEnd = "-----END CERTIFICATE-----\n";

Result<std::string> der_of(const std::string& pem) {
  const auto all = pki::split_bundle(pem);
  if (all.empty()) return fail(Code::kInvalid, "this node's certificate is none");
  const auto begin = all.front().find('\n'), end = all.front().find("-----END");
  if (begin == std::string::npos || end == std::string::npos || begin > end) {
    return fail(Code::kInvalid, "this node's certificate is none");
  }
  return crypto::base64_decode(std::string_view(all.front()).substr(begin + 1, end - begin - 1));
}

std::string pem_of(std::string_view der) {
  std::string out(kBegin), text = crypto::base64_encode(der);
  for (std::size_t i = 0; i < text.size(); i += 64) out += text.substr(i, 64) + "\n";
  return out + std::string(kEnd);
}

Result<void> check_certificate(const std::string& pem, const std::string& ca_pem, const std::string& peer) {
  LAB_TRY(auto info, pki::inspect(pem));
  const auto cas = pki::split_bundle(ca_pem);
  if (std::ranges::none_of(cas, [&](const std::string& ca) { return pki::signed_by(pem, ca); })) {
    return fail(Code::kUnauthorized, "the certificate of " + peer + " was not issued by this cluster's CA");
  }
  const auto now = std::chrono::system_clock::now();
  if (now > info.not_after || now < info.not_before) {
    return fail(Code::kUnauthorized, "the certificate of " + peer + " is not valid at this time",
                "compare the clocks of the two nodes");
  }
  const bool of_nodes = std::ranges::find(info.organizations, "system:nodes") != info.organizations.end();
  if (!of_nodes || info.common_name != "system:node:" + peer) {
    return fail(Code::kUnauthorized, "the certificate that " + peer + " shows is of " + info.common_name);
  }
  return {};
}

class CertificateAuthenticator final : public Authenticator {
 public:
  explicit CertificateAuthenticator(std::function<Result<NodeCertificate>()> source) : source_(std::move(source)) {}

  std::string prove(std::string_view transcript) const override {
    auto proof = try_to_prove(transcript);
    if (proof) return *proof;
    // The other side refuses an empty proof; here is where it can be put right.
    log::warn("this node cannot prove who it is to its peers", {{"reason", proof.error().text()}});
    return {};
  }

  Result<void> check(const std::string& peer, std::string_view transcript, std::string_view proof) const override {
    if (proof.size() < 2) return fail(Code::kUnauthorized, "peer " + peer + " shows no certificate");
    const std::size_t size = static_cast<unsigned char>(proof[0]) << 8 | static_cast<unsigned char>(proof[1]);
    if (proof.size() < 2 + size) {
      return fail(Code::kUnauthorized, "peer " + peer + " shows no certificate", "it may have a password instead");
    }
    LAB_TRY(auto own, source_());
    const auto pem = pem_of(proof.substr(2, size));
    LAB_CHECK(check_certificate(pem, own.ca_pem, peer));
    LAB_TRY(auto key, pki::PublicKey::from_pem(pem));
    if (key.verify_jose(transcript, proof.substr(2 + size))) return {};
    return fail(Code::kUnauthorized, "the signature of " + peer + " is not that of its certificate's key");
  }

  std::string shared_secret() const override { return {}; }

 private:
  Result<std::string> try_to_prove(std::string_view transcript) const {
    LAB_TRY(auto own, source_());
    LAB_TRY(auto der, der_of(own.certificate_pem));
    LAB_TRY(auto key, pki::PrivateKey::from_pem(own.private_key_pem));
    auto out = std::string{static_cast<char>(der.size() >> 8), static_cast<char>(der.size())} + der;
    out += key.sign_jose(transcript);
    if (out.size() + crypto::kX25519Bytes <= kMaxHandshake) return out;
    return fail(Code::kTooLarge,
                "its certificate of " + std::to_string(der.size()) + " bytes does not go in one datagram");
  }

  std::function<Result<NodeCertificate>()> source_;
};

}  // namespace

std::unique_ptr<Authenticator> authenticate_by_certificate(std::function<Result<NodeCertificate>()> source) {
  return std::make_unique<CertificateAuthenticator>(std::move(source));
}

}  // namespace lab::overlay
