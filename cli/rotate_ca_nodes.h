// How far each node and each master is in a CA's rotation, by what their agents say.
#pragma once

#include <string>

#include "bootstrap/common/cluster.h"

namespace lab::cli {

// Each says what is missing on a node, given what its agent said and the new CA's pin; "" when nothing is.
using Missing = std::string (*)(const json::Value& said, const std::string& pin);
std::string trusts(const json::Value& said, const std::string& pin);
std::string uses(const json::Value& said, const std::string& pin);
std::string trusts_alone(const json::Value& said, const std::string& pin);

// The same of a master's own files and API server.
using MasterMissing = Missing;
std::string prepared(const json::Value& said, const std::string& pin);
std::string switched(const json::Value& said, const std::string& pin);
std::string finished(const json::Value& said, const std::string& pin);

// Nodes that lack it, with the reason: "node2 (its agent does not answer)". `poke`: each looks at the cluster first.
Result<std::string> laggards(bootstrap::Cluster& cluster, Missing missing, const std::string& pin, bool poke);
Result<std::string> lagging_masters(bootstrap::Cluster& cluster, MasterMissing missing, const std::string& pin);
// Timeout names those that are late, and says to run the step `again`.
Result<void> wait_nodes(bootstrap::Cluster& cluster, Missing missing, const std::string& pin, const std::string& what,
                        const std::string& again);

}  // namespace lab::cli
