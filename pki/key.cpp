#include "pki/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>

#include "base/crypto/encoding.h"
#include "pki/openssl.h"

namespace lab::pki {

Failure openssl_failure(std::string what) {
  char reason[256] = "unknown reason";
  if (unsigned long e = ERR_get_error()) ERR_error_string_n(e, reason, sizeof reason);
  ERR_clear_error();
  return fail(Code::kInvalid, std::move(what) + ": " + reason);
}

namespace {

constexpr std::size_t kP256Half = 32;

KeyAlgorithm algorithm_of(EVP_PKEY* key) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? KeyAlgorithm::kRsa2048 : KeyAlgorithm::kEcdsaP256;
}

// ECDSA signatures: DER inside OpenSSL, r||s in JOSE (RFC 7518, 3.4).
std::string der_to_raw(std::string_view der) {
  const auto* p = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* sig = d2i_ECDSA_SIG(nullptr, &p, static_cast<long>(der.size()));
  std::string out(2 * kP256Half, '\0');
  auto* o = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(sig), o, kP256Half);
  BN_bn2binpad(ECDSA_SIG_get0_s(sig), o + kP256Half, kP256Half);
  ECDSA_SIG_free(sig);
  return out;
}

std::string raw_to_der(std::string_view raw) {
  if (raw.size() != 2 * kP256Half) return {};
  const auto* p = reinterpret_cast<const unsigned char*>(raw.data());
  ECDSA_SIG* sig = ECDSA_SIG_new();
  ECDSA_SIG_set0(sig, BN_bin2bn(p, kP256Half, nullptr), BN_bin2bn(p + kP256Half, kP256Half, nullptr));
  unsigned char* out = nullptr;
  int size = i2d_ECDSA_SIG(sig, &out);
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(size));
  OPENSSL_free(out);
  ECDSA_SIG_free(sig);
  return der;
}

}  // namespace

PrivateKey PrivateKey::generate(KeyAlgorithm algorithm) {
  EVP_PKEY* key = algorithm == KeyAlgorithm::kRsa2048 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
  return PrivateKey(std::make_shared<Handle>(Handle{KeyPtr(key)}));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  auto bio = bio_of(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key) return openssl_failure("no private key could be read from this PEM text");
  return PrivateKey(std::make_shared<Handle>(Handle{std::move(key)}));
}

std::string PrivateKey::pem() const {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), handle_->key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

std::string PrivateKey::public_pem() const {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), handle_->key.get());
  return text_of(bio.get());
}

KeyAlgorithm PrivateKey::algorithm() const { return algorithm_of(handle_->key.get()); }

std::string PrivateKey::sign_jose(std::string_view bytes) const {
  MdCtxPtr ctx(EVP_MD_CTX_new());
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t size = 0;
  EVP_DigestSignInit(ctx.get(), nullptr, EVP_sha256(), nullptr, handle_->key.get());
  EVP_DigestSign(ctx.get(), nullptr, &size, data, bytes.size());
  std::string signature(size, '\0');
  EVP_DigestSign(ctx.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data, bytes.size());
  signature.resize(size);
  return algorithm() == KeyAlgorithm::kEcdsaP256 ? der_to_raw(signature) : signature;
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  auto bio = bio_of(pem);
  KeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (!key) {
    bio = bio_of(pem);
    if (X509Ptr cert{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) key.reset(X509_get_pubkey(cert.get()));
  }
  if (!key) {
    bio = bio_of(pem);
    key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  }
  if (!key) return openssl_failure("no public key could be read from this PEM text");
  ERR_clear_error();
  return PublicKey(std::make_shared<PrivateKey::Handle>(PrivateKey::Handle{std::move(key)}));
}

bool PublicKey::verify_jose(std::string_view bytes, std::string_view signature) const {
  std::string der(signature);
  if (algorithm() == KeyAlgorithm::kEcdsaP256) der = raw_to_der(signature);
  if (der.empty()) return false;
  MdCtxPtr ctx(EVP_MD_CTX_new());
  EVP_DigestVerifyInit(ctx.get(), nullptr, EVP_sha256(), nullptr, handle_->key.get());
  int ok = EVP_DigestVerify(ctx.get(), reinterpret_cast<const unsigned char*>(der.data()), der.size(),
                            reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  ERR_clear_error();
  return ok == 1;
}

KeyAlgorithm PublicKey::algorithm() const { return algorithm_of(handle_->key.get()); }

std::string PublicKey::der() const {
  unsigned char* out = nullptr;
  int size = i2d_PUBKEY(handle_->key.get(), &out);
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(size));
  OPENSSL_free(out);
  return der;
}

PublicKey::Jwk PublicKey::jwk() const {
  auto number = [&](const char* name, int pad) {
    BIGNUM* bn = nullptr;
    EVP_PKEY_get_bn_param(handle_->key.get(), name, &bn);
    std::string bytes(static_cast<std::size_t>(pad ? pad : BN_num_bytes(bn)), '\0');
    BN_bn2binpad(bn, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    BN_free(bn);
    return crypto::base64url_encode(bytes);
  };
  if (algorithm() == KeyAlgorithm::kRsa2048)
    return {.kty = "RSA", .n = number(OSSL_PKEY_PARAM_RSA_N, 0), .e = number(OSSL_PKEY_PARAM_RSA_E, 0)};
  return {.kty = "EC", .crv = "P-256", .x = number(OSSL_PKEY_PARAM_EC_PUB_X, kP256Half),
          .y = number(OSSL_PKEY_PARAM_EC_PUB_Y, kP256Half)};
}

}  // namespace lab::pki
