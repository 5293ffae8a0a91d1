// Durations as Go prints them (time.Duration.String): "1h30m0s", "1.5s", "100ms". parse_duration in time.h reads them.
#pragma once

#include <chrono>
#include <string>

namespace lab::api {

std::string format_duration(std::chrono::nanoseconds d);

}  // namespace lab::api
