// Socket addresses: parsing, naming, and looking names up without blocking the loop.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "base/io/loop.h"
#include "base/result.h"

namespace lab {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::string text() const;  // "10.0.0.3:6443", "[::1]:6443", "" for unix sockets
  int port() const;
};

bool is_ip_literal(const std::string& host);
std::string host_port(const std::string& host, int port);  // brackets around IPv6 literals
SocketAddress local_address(int fd);
SocketAddress peer_address(int fd);

// Literals at once; names through the system's resolver on a thread of its own. At least one address.
Result<std::vector<SocketAddress>> resolve_blocking(const std::string& host, int port, bool literal_only);
Task<Result<std::vector<SocketAddress>>> resolve(std::string host, int port, Duration timeout);

}  // namespace lab
