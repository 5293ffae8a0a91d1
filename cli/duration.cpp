#include "cli/duration.h"

#include <cctype>
#include <cstdlib>

#include "orchestrator/api/time.h"

namespace lab::cli {

Result<std::chrono::seconds> parse_seconds(const std::string& option, const std::string& text) {
  char* end = nullptr;
  long plain = std::strtol(text.c_str(), &end, 10);
  if (!text.empty() && *end == '\0') return std::chrono::seconds(plain);
  if (auto d = api::parse_duration(text)) return std::chrono::duration_cast<std::chrono::seconds>(*d);
  return fail(Code::kInvalid, "--" + option + ": \"" + text + "\" is no duration", "write it as 24h, 90s or 0");
}

Result<std::uint64_t> parse_bytes(const std::string& option, const std::string& text) {
  char* end = nullptr;
  double number = std::strtod(text.c_str(), &end);
  int shift = 0;
  switch (std::tolower(static_cast<unsigned char>(*end))) {
    case 'k': shift = 10; break;
    case 'm': shift = 20; break;
    case 'g': shift = 30; break;
    default: break;
  }
  if (text.empty() || number < 0 || (*end && !shift))
    return fail(Code::kInvalid, "--" + option + ": \"" + text + "\" is no size", "write it as 2g, 512m or 2Gi");
  return static_cast<std::uint64_t>(number * static_cast<double>(1ull << shift));
}

}  // namespace lab::cli
