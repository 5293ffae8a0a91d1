// Which keys signed the service account tokens that stand in the files of this node's pods. Blocking; any thread.
#pragma once

#include <map>
#include <set>
#include <string>

namespace lab::join {

// Key (`kid`) -> pods, as "namespace/name". Read from the files themselves (PODS/UID/volumes/kubernetes.io~projected),
// so that it is true whatever the agent has in memory; what cannot be read is left out. Pods that have ended keep the
// files they had.
using TokenKeys = std::map<std::string, std::set<std::string>>;
TokenKeys pod_token_keys(const std::string& pods_directory);

}  // namespace lab::join
