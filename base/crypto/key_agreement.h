// Agreeing on keys: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), scrypt (RFC 7914). Raw bytes in, raw bytes out.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::crypto {

inline constexpr std::size_t kX25519Bytes = 32;

struct X25519Pair {
  std::string secret, open;  // open: the public half
};

X25519Pair x25519_generate();
// The public half of a secret.
Result<std::string> x25519_public(std::string_view secret);
// kInvalid when `peer` is no usable public key (wrong length, or a point of small order).
Result<std::string> x25519_shared(std::string_view secret, std::string_view peer);

std::string hkdf_sha256(std::string_view secret, std::string_view salt, std::string_view info, std::size_t bytes);

// 32 bytes from a password; takes some 50 ms and 16 MiB on purpose, so that guessing is dear.
std::string key_from_password(std::string_view password, std::string_view salt);

}  // namespace lab::crypto
