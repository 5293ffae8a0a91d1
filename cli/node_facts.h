// What the nodes' agents say of themselves, asked through the API server: /lab/node of each (join/keeper.h).
#pragma once

#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"

namespace lab::cli {

struct NodeFacts {
  std::string name;
  bool master = false;
  Result<json::Value> said =
      json::Value();  // kUnavailable: its agent does not answer; kNotFound: it is of an earlier version
};

// `poke`: each is also told to compare its credentials with the cluster's at once. In the order of names.
Result<std::vector<NodeFacts>> ask_nodes(bootstrap::Cluster& cluster, bool poke);

}  // namespace lab::cli
