// Standard base64 with padding (RFC 4648 section 4), as Go's encoding/json writes []byte.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::api {

std::string base64_encode(std::string_view bytes);
// Line breaks are skipped, as Go does. BadRequest in Go's words: `illegal base64 data at input byte 3`.
Result<std::string> base64_decode(std::string_view text);

}  // namespace lab::api
