// Base64 (RFC 4648, both alphabets) and hexadecimal.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::crypto {

std::string base64_encode(std::string_view bytes);
Result<std::string> base64_decode(std::string_view text);       // white space is skipped
std::string base64url_encode(std::string_view bytes);           // no padding
Result<std::string> base64url_decode(std::string_view text);
std::string hex_encode(std::string_view bytes);

}  // namespace lab::crypto
