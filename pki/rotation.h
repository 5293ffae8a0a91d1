// When certificates are renewed (kubernetes.io/docs: certificate-rotation): a node asks for its next client certificate
// with the one it has, before that ends. Serving certificates and masters' own follow the same times.
#pragma once

#include <string>

#include "pki/certificate.h"

namespace lab::pki {

// At 70 to 90 % of the life, at a place in between that is the node's own, so that not all come at once.
WallTime rotation_time(WallTime begin, WallTime end, const std::string& node_name);

}  // namespace lab::pki
