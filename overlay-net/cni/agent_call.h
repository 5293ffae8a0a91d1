// One blocking HTTP exchange with the overlay agent over its unix socket. The plugin lives for milliseconds: it needs
// neither an event loop nor a connection pool.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"

namespace lab::overlay {

// kUnavailable when the agent does not answer or says 503, kNotFound for 404. `body` may be empty.
Result<json::Value> call_agent(const std::string& socket_path, const std::string& method, const std::string& path,
                               const std::string& body);

}  // namespace lab::overlay
