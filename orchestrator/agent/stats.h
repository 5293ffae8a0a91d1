// StatsCollector: what /stats/summary and /metrics/resource say about this node, its pods and containers.
//
// Rates (usageNanoCores) are between two requests that are at least a second apart. Thread-safe; blocking (/proc).
// Sources: the kubelet's stats API v1alpha1 and its resource metrics (KEP-727).
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "orchestrator/agent/cri.h"
#include "orchestrator/agent/machine.h"
#include "orchestrator/agent/options.h"
#include "orchestrator/agent/pod.h"

namespace lab::agent {

class StatsCollector {
 public:
  StatsCollector(const AgentOptions& options, MachineInfo machine) : options_(options), machine_(std::move(machine)) {}
  json::Value summary(const std::vector<ObjectPtr>& pods, const std::vector<cri::ContainerStats>& containers);
  std::string metrics(const std::vector<ObjectPtr>& pods, const std::vector<cri::ContainerStats>& containers);

 private:
  struct Sample {
    std::int64_t at_ns = 0;
    std::uint64_t used_ns = 0, rate = 0;
  };
  // Nanocores since the sample before; 0 at the first.
  std::uint64_t rate(const std::string& id, std::int64_t at_ns, std::uint64_t used_ns);

  const AgentOptions& options_;
  MachineInfo machine_;
  std::mutex mutex_;
  std::map<std::string, Sample> samples_;
};

}  // namespace lab::agent
