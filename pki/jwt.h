// JSON Web Tokens (RFC 7519) as Kubernetes signs them for service accounts: ES256 or RS256, with a key id.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pki/key.h"

namespace lab::pki {

// Base64url SHA-256 of the public key's DER: the `kid` that kube-apiserver uses.
std::string key_id(const PublicKey& key);

std::string sign_jwt(const PrivateKey& key, const json::Value& claims);

// The claims when one of the keys made the signature. Unauthorized otherwise. Time and audience are the caller's to check.
Result<json::Value> verify_jwt(const std::vector<PublicKey>& keys, std::string_view token);
// The claims unverified: to see whose token it is before choosing the keys.
Result<json::Value> peek_jwt(std::string_view token);

// The `kid` that its header names; "" where there is none, or it is no token.
std::string token_key_id(std::string_view token);
// All public keys of a PEM text in their order, as kube-apiserver takes them from --service-account-key-file. Invalid
// where there is none, or one cannot be read.
Result<std::vector<PublicKey>> public_keys(std::string_view pem);

// The key set served at /openid/v1/jwks.
json::Value jwks(const std::vector<PublicKey>& keys);

}  // namespace lab::pki
