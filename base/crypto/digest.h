// Digests, MACs and random bytes. Raw bytes in, raw bytes out (see encoding.h for text forms).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lab::crypto {

std::string sha256(std::string_view bytes);
std::string sha1(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);
bool equal_constant_time(std::string_view a, std::string_view b);

std::string random_bytes(std::size_t count);
// Letters and digits as bootstrap tokens and generated names use them: [a-z0-9].
std::string random_text(std::size_t length, std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz0123456789");
std::string random_uuid();   // RFC 4122 version 4

}  // namespace lab::crypto
