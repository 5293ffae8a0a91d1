// Ports on which programs in nodes listen: what a student starts by hand is a link as well, not NodePorts alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "labs/exercises/evaluator.h"

namespace lab::classroom {

// TCP ports that are listened on for others than the node itself, in order, of the kernel's tables /proc/net/tcp and
// tcp6 (proc(5)). Kubernetes' own and those of every node's daemons are left out.
std::vector<int> listening_ports(std::string_view tcp, std::string_view tcp6);

// Those of the lab's running nodes, as entries of the part "ports" of a student's state; links as in node_ports.h.
// Blocking: two small files a node.
json::Array listeners(exercises::Evaluator& lab, const std::string& student, int ports_port);

}  // namespace lab::classroom
