#include "orchestrator/apiserver/metrics.h"

#include <algorithm>
#include <cstdio>
#include <mutex>

namespace lab::apiserver {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

}  // namespace

void Metrics::request(const std::string& verb, const std::string& resource, const std::string& subresource, int code,
                      Duration took) {
  Key key(verb, resource, subresource, code);
  Series* series = nullptr;
  {
    std::shared_lock lock(mutex_);
    if (auto it = series_.find(key); it != series_.end()) series = it->second.get();
  }
  if (!series) {
    std::unique_lock lock(mutex_);
    auto& slot = series_[key];
    if (!slot) slot = std::make_unique<Series>();
    series = slot.get();
  }
  auto seconds = std::chrono::duration<double>(took).count();
  auto bucket = std::ranges::lower_bound(kBuckets, seconds) - kBuckets.begin();
  series->buckets[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  series->count.fetch_add(1, std::memory_order_relaxed);
  series->nanoseconds.fetch_add(static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()),
                                std::memory_order_relaxed);
}

std::string Metrics::text() const {
  std::string counts =
      "# HELP apiserver_request_total Counter of apiserver requests by verb, resource, subresource and HTTP code.\n"
      "# TYPE apiserver_request_total counter\n";
  std::string durations =
      "# HELP apiserver_request_duration_seconds Response latency distribution in seconds.\n"
      "# TYPE apiserver_request_duration_seconds histogram\n";
  std::shared_lock lock(mutex_);
  for (const auto& [key, series] : series_) {
    const auto& [verb, resource, subresource, code] = key;
    std::string labels = "verb=\"" + verb + "\",resource=\"" + resource + "\",subresource=\"" + subresource +
                         "\",code=\"" + std::to_string(code) + "\"";
    counts += "apiserver_request_total{" + labels + "} " + std::to_string(series->count.load()) + "\n";
    if (verb == "watch") continue;  // as long as the client stays
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < series->buckets.size(); ++i) {
      sum += series->buckets[i].load();
      durations += "apiserver_request_duration_seconds_bucket{" + labels + ",le=\"" +
                   (i < kBuckets.size() ? number(kBuckets[i]) : std::string("+Inf")) + "\"} " + std::to_string(sum) +
                   "\n";
    }
    durations += "apiserver_request_duration_seconds_sum{" + labels + "} " +
                 number(static_cast<double>(series->nanoseconds.load()) / 1e9) + "\n";
    durations +=
        "apiserver_request_duration_seconds_count{" + labels + "} " + std::to_string(series->count.load()) + "\n";
  }
  return counts + durations +
         "# HELP apiserver_current_inflight_requests Requests being worked on now.\n"
         "# TYPE apiserver_current_inflight_requests gauge\n"
         "apiserver_current_inflight_requests{request_kind=\"mutating\"} " +
         std::to_string(mutating_in_flight.load()) +
         "\napiserver_current_inflight_requests{request_kind=\"readOnly\"} " + std::to_string(read_in_flight.load()) +
         "\n# HELP apiserver_longrunning_requests Watches, logs and tunnels that are open now.\n"
         "# TYPE apiserver_longrunning_requests gauge\napiserver_longrunning_requests " +
         std::to_string(long_running.load()) + "\n";
}

}  // namespace lab::apiserver
