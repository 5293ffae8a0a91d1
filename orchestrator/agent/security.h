// securityContext of pods and containers as the runtime wants it. Pure functions; any thread.
#pragma once

#include "orchestrator/agent/container_config.h"

namespace lab::agent {

// Paths of /proc and /sys that a container with the default procMount does not see, or cannot write.
extern const std::vector<std::string> kMaskedPaths, kReadonlyPaths;

cri::SecurityContext sandbox_security(const json::Value& pod, const AgentOptions& options);
// CreateContainerConfigError where runAsNonRoot forbids the image's user.
StartResult<cri::SecurityContext> container_security(const ContainerInputs& in);

}  // namespace lab::agent
