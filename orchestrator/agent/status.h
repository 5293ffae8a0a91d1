// The status of a pod as the kubelet reports it, out of its spec and what the runtime and the probes say.
// Pure functions; any thread. Sources: the kubelet's kubelet_pods.go and status/generate.go.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "orchestrator/agent/container_config.h"
#include "orchestrator/agent/runtime.h"

namespace lab::agent {

struct StatusInputs {
  const json::Value& pod;     // spec and metadata; status: what the API holds
  const json::Value& before;  // the status that was reported last; null at first
  const PodRuntime& runtime;
  const PodFacts& facts;
  const std::map<std::string, StartError>& waiting;                // why a container is not (or not again) running
  const std::map<std::string, std::string>& messages;              // container id -> termination message
  std::function<bool(const std::string& container)> probes_ready;  // running and no readiness probe says no
  std::function<bool(const std::string& container)> started;       // running and the startup probe has passed
  WallTime now;
  std::string failure_reason, failure_message;  // the pod as a whole has failed: DeadlineExceeded, Evicted
  // What a running container has been given; empty: not told.
  std::function<const json::Value&(const ContainerRef& container, const std::string& id)> resources = {};
};
json::Value make_pod_status(const StatusInputs& in);

// The phase that these container statuses add up to.
std::string phase_of(const json::Value& pod, const json::Value& status);

// What strategic merge patch turns `before` into `now`, with null for fields that are gone. Null: nothing to write.
json::Value status_patch(const json::Value& before, const json::Value& now);

std::string runtime_time(std::int64_t nanos);  // RFC 3339, seconds

}  // namespace lab::agent
