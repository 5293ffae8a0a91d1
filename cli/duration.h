// Durations and sizes as people write them on the command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace lab::cli {

Result<std::chrono::seconds> parse_seconds(const std::string& option, const std::string& text);   // "24h", "90s", "0", "300"
Result<std::uint64_t> parse_bytes(const std::string& option, const std::string& text);            // "2Gi", "512m", "2g"

}  // namespace lab::cli
