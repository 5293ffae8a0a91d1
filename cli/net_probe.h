// The node's side of `lab net test`: a pod of its own, wired by the plugin as a runtime would have it done, and what it
// reaches from there.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace lab::cli {

// {"address": "10.244.1.5", "mtu": 1450}. What an earlier test left is removed first.
Result<json::Value> probe_up();
Result<void> probe_down();  // absent is fine

struct ProbeTarget {
  std::string node, pod_address, node_address;
};
// {"pods": [{"node", "microseconds" or "reason", "fullMTU"}], "dns": {...}, "service": {...}}
Result<json::Value> probe_run(const std::vector<ProbeTarget>& targets);

// What the kernel of this node does with a packet to the address: {"device", "destination", "gateway", "mac", "remote",
// "mtu"}, each where there is one.
Result<json::Value> probe_hops(const std::string& address);

}  // namespace lab::cli
