// The agent's HTTP interface on its unix socket (overlay-net/cni/protocol.h, status).
#pragma once

#include "base/http/server.h"
#include "overlay-net/agent/core.h"
#include "overlay-net/policy/agent.h"

namespace lab::overlay {

// `policy` may be null: then nothing isolates pods.
Task<void> serve_agent_api(AgentCore& core, policy::PolicyAgent* policy, http::Request request,
                           http::ResponseWriter& writer);

}  // namespace lab::overlay
