// Rotation of a node's client certificate (kubernetes.io/docs: certificate-rotation): before it ends, the node asks for
// the next one with the one it has. keeper.h does it.
#pragma once

#include <string>

#include "pki/certificate.h"

namespace lab::join {

// When to ask: at 70 to 90 % of the life, at a place in between that is the node's own, so that not all come at once.
pki::WallTime rotation_time(pki::WallTime begin, pki::WallTime end, const std::string& node_name);

}  // namespace lab::join
