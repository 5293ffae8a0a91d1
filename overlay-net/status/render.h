// Lines for people out of the agent's report.
#pragma once

#include <string>

#include "base/json.h"

namespace lab::overlay {

std::string render_summary(const json::Value& report);      // lab net status
std::string render_connections(const json::Value& report);  // one line for each connection, and for each that failed
std::string render_peers(const json::Value& report);        // each peer with its connections
std::string render_ipam(const json::Value& report);         // each peer's addresses
std::string render_targets(const json::Value& report);      // addresses to be dialled, and who named them

}  // namespace lab::overlay
