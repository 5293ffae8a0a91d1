// The digest of a file that may be larger than memory.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::crypto {

Result<std::string> sha256_of_file(const std::string& path);  // raw bytes; kNotFound, or the system's reason

}  // namespace lab::crypto
