// Sockets below the streams: connecting a descriptor, and wrapping one that is connected. All on the current loop.
#pragma once

#include <memory>
#include <string>

#include "base/io/descriptor.h"
#include "base/io/stream.h"

namespace lab {

struct ConnectedSocket {
  std::unique_ptr<Descriptor> descriptor;
  std::string name;  // for errors: "10.0.0.3:6443", or "api.lab:6443 (10.0.0.3:6443)"
};

// Tries each address of the host in turn. Errors read "connect 10.0.0.3:6443: Connection refused".
Task<Result<ConnectedSocket>> connect_tcp(std::string host, int port, Duration timeout);

// No delay, keep-alive probes: what every TCP connection here has.
void tune_tcp(int fd);

std::unique_ptr<Stream> make_socket_stream(ConnectedSocket socket);
// A socket that listener.h accepted, without TLS.
Accepted accept_plain(int fd);

Failure stream_cancelled();
Failure stream_error(const char* doing, const std::string& name, int err);

}  // namespace lab
