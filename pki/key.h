// PrivateKey: an ECDSA P-256 or RSA-2048 key, in PEM (PKCS #8; SEC 1 and PKCS #1 are read too).
//
// Values are cheap to copy (they share the key) and may be used from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::pki {

enum class KeyAlgorithm { kEcdsaP256, kRsa2048 };

class PrivateKey {
 public:
  static PrivateKey generate(KeyAlgorithm algorithm = KeyAlgorithm::kEcdsaP256);
  static Result<PrivateKey> from_pem(std::string_view pem);
  std::string pem() const;
  std::string public_pem() const;
  KeyAlgorithm algorithm() const;
  // SHA-256 with ECDSA (raw r||s, as JOSE wants it) or RSA PKCS #1 v1.5.
  std::string sign_jose(std::string_view bytes) const;

  struct Handle;                       // OpenSSL's key, for pki/*.cpp only
  const Handle& handle() const { return *handle_; }
  explicit PrivateKey(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}

 private:
  std::shared_ptr<Handle> handle_;
};

class PublicKey {
 public:
  static Result<PublicKey> from_pem(std::string_view pem);   // a public key, or the one in a private key or certificate
  bool verify_jose(std::string_view bytes, std::string_view signature) const;
  KeyAlgorithm algorithm() const;
  std::string der() const;                                   // SubjectPublicKeyInfo
  struct Jwk {
    std::string kty, crv, x, y, n, e;                        // base64url, as RFC 7517 wants them
  };
  Jwk jwk() const;
  explicit PublicKey(std::shared_ptr<PrivateKey::Handle> handle) : handle_(std::move(handle)) {}

 private:
  std::shared_ptr<PrivateKey::Handle> handle_;
};

}  // namespace lab::pki
