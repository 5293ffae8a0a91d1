// Internal: what the kernel holds of our table, read from libnftables' JSON (libnftables-json(5)). Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "orchestrator/proxy/ruleset.h"

namespace lab::proxy {

// `listed` answers "list sets", "list maps" or "list chains"; what belongs to other tables is left out, and the
// affinity map, which the kernel alone fills.
Listing listing_of(const json::Value& listed);

// A client that session affinity remembers.
struct RememberedClient {
  std::string client;
  std::string frontend;  // "10.96.0.5 . tcp . 80": the address may be a node's own
  std::string port;      // "tcp . 30080": what a node port is known by
  std::string endpoint;  // "10.244.1.5 . 8080"
};
// `listed` answers "list map ... affinity".
std::vector<RememberedClient> remembered_clients(const json::Value& listed);

}  // namespace lab::proxy
