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
  std::string unit = end;
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit == "k" || unit == "ki" || unit == "kib") shift = 10;
  if (unit == "m" || unit == "mi" || unit == "mib") shift = 20;
  if (unit == "g" || unit == "gi" || unit == "gib") shift = 30;
  // 2^63 bytes are more than there are; "nan" and "inf" are numbers to strtod.
  if (end == text.c_str() || !(number >= 0 && number * static_cast<double>(1ull << shift) < 0x1p63) ||
      (shift == 0 && !unit.empty()))
    return fail(Code::kInvalid, "--" + option + ": \"" + text + "\" is no size", "write it as 2g, 512m or 2Gi");
  return static_cast<std::uint64_t>(number * static_cast<double>(1ull << shift));
}

}  // namespace lab::cli
