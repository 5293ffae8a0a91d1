// Ed25519 (RFC 8032): the public key that belongs to a private one. Raw bytes.
#pragma once

#include <string>
#include <string_view>

namespace lab::crypto {

inline constexpr std::size_t kEd25519Bytes = 32;

// The seed is 32 random bytes: the private key. Empty when it has another length.
std::string ed25519_public(std::string_view seed);

}  // namespace lab::crypto
