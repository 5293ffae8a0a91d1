// How far each node and each master is in a rotation, by what their agents say (join/keeper.h).
#pragma once

#include <functional>
#include <string>

#include "bootstrap/common/cluster.h"

namespace lab::cli {

// Says what is missing on a node, given what its agent said; "" when nothing is.
using Missing = std::function<std::string(const json::Value& said)>;

// Of a CA's rotation, on any node: the new CA's pin.
Missing trusts(std::string pin);
Missing uses(std::string pin);
Missing trusts_alone(std::string pin);

// The same of a master's own files and API server. `ca`: "ca", "etcd-ca" or "front-proxy-ca".
Missing prepared(std::string pin, std::string ca = "ca");
Missing switched(std::string pin, std::string ca = "ca");
Missing finished(std::string pin, std::string ca = "ca");

// Nodes that lack it, with the reason: "node2 (its agent does not answer)". `poke`: each looks at the cluster first.
Result<std::string> laggards(bootstrap::Cluster& cluster, const Missing& missing, bool poke);
Result<std::string> lagging_masters(bootstrap::Cluster& cluster, const Missing& missing);
// Timeout names those that are late, and says to run `again`, a command.
Result<void> wait_nodes(bootstrap::Cluster& cluster, const Missing& missing, const std::string& what,
                        const std::string& again);

}  // namespace lab::cli
