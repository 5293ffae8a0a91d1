// Rotation of a node's client certificate (kubernetes.io/docs: certificate-rotation): before it ends, the node asks for
// the next one with the one it has.
#pragma once

#include <string>

#include "join/tls_bootstrap.h"
#include "pki/certificate.h"

namespace lab::join {

// When to ask: at 70 to 90 % of the life, at a place in between that is the node's own, so that not all come at once.
pki::WallTime rotation_time(pki::WallTime begin, pki::WallTime end, const std::string& node_name);

// Keeps the kubeconfig's certificate good, for ever: for a thread of the agent's own. A try that fails is told and
// repeated; the clients of the API take the new certificate up from the file.
[[noreturn]] void rotate_client_certificate(const TlsBootstrapOptions& options);

}  // namespace lab::join
