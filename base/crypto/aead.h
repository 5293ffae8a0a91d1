// Authenticated encryption: AES-256-GCM (NIST SP 800-38D). Raw bytes in, raw bytes out.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::crypto {

inline constexpr std::size_t kAesKeyBytes = 32;

// A fresh 12-byte nonce, the ciphertext, the 16-byte tag: Go's Seal(nonce, nonce, text, nil). The key has 32 bytes.
Result<std::string> aes_gcm_seal(std::string_view key, std::string_view text);
// kInvalid when the key is another one, or the bytes were changed.
Result<std::string> aes_gcm_open(std::string_view key, std::string_view sealed);

}  // namespace lab::crypto
