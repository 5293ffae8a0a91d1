// What a pod asks of the machine: QoS class, cgroup settings, OOM scores. Pure functions; any thread.
// Sources: the kubelet's qos and cm packages; KEP-2400 leaves swap alone, so none is granted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "orchestrator/agent/cri.h"

namespace lab::agent {

enum class Qos { kGuaranteed, kBurstable, kBestEffort };
Qos qos_of(const json::Value& pod);
std::string_view name_of(Qos qos);  // "Guaranteed"

struct Amounts {  // of cpu (milli) and memory (bytes); empty: not said
  std::optional<std::int64_t> cpu_milli, memory;
};
Amounts requests_of(const json::Value& container);
Amounts limits_of(const json::Value& container);

std::int64_t cpu_shares(std::int64_t milli);   // cgroup v1 cpu.shares: 2 to 262144
std::int64_t cpu_weight(std::int64_t shares);  // the same on cgroup v2: 1 to 10000
std::int64_t cpu_quota(std::int64_t milli);    // microseconds of each 100 ms; at least 1000

inline constexpr std::int64_t kCpuPeriod = 100'000;

// For the container's own cgroup. memory_capacity: of the node, for the OOM score of burstable containers.
cri::Resources container_resources(const json::Value& pod, const json::Value& container, std::int64_t memory_capacity);

// For the pod's cgroup: shares of the sum of requests; quota and memory only where every container has a limit.
struct PodLimits {
  std::int64_t cpu_shares = 2;
  std::optional<std::int64_t> cpu_quota, memory;
};
PodLimits pod_limits(const json::Value& pod);

}  // namespace lab::agent
