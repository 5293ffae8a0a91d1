#include "orchestrator/api/duration.h"

namespace lab::api {

namespace {

// value / unit as a decimal without trailing zeros; unit is a power of ten.
std::string decimal(std::uint64_t value, std::uint64_t unit) {
  std::string out = std::to_string(value / unit);
  std::string fraction = std::to_string(value % unit + unit).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (!fraction.empty()) out += "." + fraction;
  return out;
}

}  // namespace

std::string format_duration(std::chrono::nanoseconds d) {
  const bool negative = d.count() < 0;
  const std::uint64_t ns = negative ? 0 - static_cast<std::uint64_t>(d.count()) : static_cast<std::uint64_t>(d.count());
  constexpr std::uint64_t kSecond = 1'000'000'000;
  std::string out = negative ? "-" : "";
  if (ns == 0) return "0s";
  if (ns < 1'000) return out + std::to_string(ns) + "ns";
  if (ns < 1'000'000) return out + decimal(ns, 1'000) + "µs";
  if (ns < kSecond) return out + decimal(ns, 1'000'000) + "ms";
  const std::uint64_t minutes = ns / (60 * kSecond);
  if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
  if (minutes > 0) out += std::to_string(minutes % 60) + "m";
  return out + decimal(ns % (60 * kSecond), kSecond) + "s";
}

}  // namespace lab::api
