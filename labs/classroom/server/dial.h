// A connection to a port of a student's node, in whatever network the lab stands.
#pragma once

#include <memory>
#include <string>

#include "base/io/pool.h"
#include "base/io/stream.h"

namespace lab::classroom {

struct NodeConnection {
  std::string address;  // the node's
  std::unique_ptr<Stream> stream;
};

// Of the current loop; reading the profile and making the socket happen in the pool. NotFound: no such lab or node.
// Unavailable: nobody listens there. Timeout.
Task<Result<NodeConnection>> dial_node(Pool& pool, std::string profile, std::string node, int port, Duration timeout);

}  // namespace lab::classroom
