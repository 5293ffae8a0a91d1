// What should be done next for a pod, out of its spec and what the runtime holds. A pure function; any thread.
// After the kubelet's computePodActions and computeInitContainerActions (KEP-753 for sidecars).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "orchestrator/agent/pod.h"
#include "orchestrator/agent/runtime.h"

namespace lab::agent {

struct KillAction {
  std::string container_id;
  ContainerRef container;
  std::string message;  // of the Killing event
  bool restart_follows = true;
};
struct PodActions {
  bool finished = false;  // nothing will run any more: stop what is left
  bool create_sandbox = false;
  std::vector<KillAction> kill;
  std::vector<ContainerRef> start;  // in order; already without those that have to wait for others
};
struct ActionInputs {
  const json::Value& pod;
  const PodRuntime& runtime;
  std::function<bool(const std::string& container)> started;             // startup probe passed
  std::function<std::string(const std::string& container_id)> given_up;  // "liveness", "startup" or ""
};
PodActions next_actions(const ActionInputs& in);

}  // namespace lab::agent
