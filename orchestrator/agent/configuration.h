// KubeletConfiguration (kubelet.config.k8s.io/v1beta1) for an agent: the file --config, as `lab init` and `lab join`
// write it. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "orchestrator/agent/options.h"

namespace lab::agent {

// Sets in `options` what the document says; what it does not say stays. Fields without effect here are passed over:
// bootstrap/config names them. kInvalid names the field and what is wrong with it. What is in a field that is taken and
// has no effect is added to `notes`: "evictionHard: imagefs.available has no effect: ...".
// Of clusterDNS, clusterDomain and cgroupDriver the agent hears by flags, as other parts of the node do.
Result<void> apply_configuration(const json::Value& document, AgentOptions& options,
                                 std::vector<std::string>* notes = nullptr);

}  // namespace lab::agent
