// Metrics: what /metrics shows, in Prometheus' text format, under kube-apiserver's names. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <tuple>

#include "base/io/loop.h"

namespace lab::apiserver {

class Metrics {
 public:
  void request(const std::string& verb, const std::string& resource, const std::string& subresource, int code,
               Duration took);
  std::atomic<int> mutating_in_flight{0}, read_in_flight{0}, long_running{0};
  // Of the requests so far; gauges of other parts are appended by the caller.
  std::string text() const;

 private:
  static constexpr std::array<double, 12> kBuckets{0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60};
  struct Series {
    std::array<std::atomic<std::uint64_t>, kBuckets.size() + 1> buckets{};
    std::atomic<std::uint64_t> count{0}, nanoseconds{0};
  };
  using Key = std::tuple<std::string, std::string, std::string, int>;
  mutable std::shared_mutex mutex_;
  std::map<Key, std::unique_ptr<Series>> series_;
};

}  // namespace lab::apiserver
