// A master whose address has changed: it tells the nodes' agents, and each of them goes on at the new address.
//
// Nobody but a holder of the API server's own client certificate is listened to, and what answers at the new address
// must still be signed by the CA that the node knows. Blocking.
#pragma once

#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"

namespace lab::join {

// Where an agent hears of it: PUT, the body is the server's URL.
inline constexpr const char* kRepointPath = "/lab/server";

// The node's side: the kubeconfig's server becomes this one, all else stays. kInvalid when it is no https://HOST:PORT.
Result<void> repoint_kubeconfig(const std::string& path, const std::string& server);

struct Told {
  std::string node, address;
  Result<void> outcome;
};
// The master's side: tells all nodes but `own_node`, one after the other. `certificate` and `key`: the API server's,
// for agents (apiserver-kubelet-client). Fails only where the nodes cannot be listed.
Result<std::vector<Told>> tell_nodes(bootstrap::Cluster& cluster, const std::string& own_node,
                                     const std::string& certificate, const std::string& key, const std::string& server);

}  // namespace lab::join
