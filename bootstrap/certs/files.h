// Replacing a file so that owner and mode stay, for this folder.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::bootstrap::certs {

// `mode` is for a file that is not there yet.
Result<void> replace_file(const std::string& path, const std::string& content, unsigned mode);

}  // namespace lab::bootstrap::certs
