// Time in objects: metav1.Time ("2026-11-22T00:10:00Z") and MicroTime, and durations ("1h30m").
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace lab::api {

using WallTime = std::chrono::system_clock::time_point;

std::string format_time(WallTime t);                 // seconds, Z
std::string format_micro_time(WallTime t);           // microseconds, Z
std::optional<WallTime> parse_time(std::string_view text);   // RFC 3339, any offset and fraction
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);   // Go's time.ParseDuration
std::string human_duration(std::chrono::seconds d);  // "5m3s", "3d4h": kubectl's AGE

}  // namespace lab::api
