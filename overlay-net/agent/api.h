// The agent's HTTP interface on its unix socket (overlay-net/cni/protocol.h, status, metrics).
#pragma once

#include "base/http/server.h"
#include "overlay-net/agent/core.h"

namespace lab::overlay {

Task<void> serve_agent_api(AgentCore& core, http::Request request, http::ResponseWriter& writer);

}  // namespace lab::overlay
