#include <ctime>

#include "bootstrap/preflight/checks.h"

namespace lab::bootstrap::preflight {

namespace {

// 2025-01-01: no machine that runs this program lives before it.
constexpr std::time_t kEarliest = 1735689600;
constexpr std::size_t kMachineIdLength = 32;

}  // namespace

void machine_id(const PreflightInput& in, Findings& out) {
  const std::string id = line_of(in, "/etc/machine-id");
  const bool good = id.size() == kMachineIdLength && id.find_first_not_of("0123456789abcdef") == std::string::npos &&
                    id.find_first_not_of('0') != std::string::npos;
  if (good) return;
  out.push_back(
      {"MachineID", id.empty() ? "/etc/machine-id is absent or empty" : "/etc/machine-id holds no machine id: " + id,
       "make one: systemd-machine-id-setup, or: tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id", false});
}

void clock(const PreflightInput&, Findings& out) {
  const std::time_t now = std::time(nullptr);
  if (now >= kEarliest) return;
  char text[32] = "";
  std::tm tm{};
  std::strftime(text, sizeof text, "%F", ::gmtime_r(&now, &tm));
  out.push_back(
      {"Clock",
       std::string("this machine's clock shows ") + text + "; certificates would not be valid when it is set right",
       "set it (date -s ... or an NTP client)"});
}

}  // namespace lab::bootstrap::preflight
