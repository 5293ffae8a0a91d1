// UsageSample: what one node's agent says on /metrics/resource, and the use of CPU and memory between two of them.
//
// Values; any thread. Source: the kubelet's resource metrics (KEP-727), read as metrics-server reads them: CPU is a
// counter, so a rate needs two samples, or for a container that began in between, its whole life.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace lab::apiserver {

struct UsagePoint {
  std::int64_t at_ms = 0;      // since the epoch; 0: not told
  double cpu_seconds = 0;      // since its start
  std::uint64_t memory = 0;    // working set, bytes
  double started_seconds = 0;  // since the epoch; 0: not told
};

using PodName = std::pair<std::string, std::string>;  // namespace, name

struct UsageSample {
  UsagePoint node;
  std::map<PodName, std::map<std::string, UsagePoint>> pods;  // containers by name

  // From the Prometheus text format; kInvalid where the node's own values are missing.
  static Result<UsageSample> parse(std::string_view text);
};

struct Usage {
  std::int64_t at_ms = 0;
  std::chrono::milliseconds window{0};
  std::uint64_t nanocores = 0, memory = 0;
};

// Empty while nothing can be said: the counter went back, or too little time lies between.
std::optional<Usage> usage_between(const UsagePoint* before, const UsagePoint& now);

}  // namespace lab::apiserver
