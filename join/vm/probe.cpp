#include "join/vm/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace lab::join::vm {

namespace {

constexpr int kConnectMs = 1000, kGreetingMs = 2000;

struct Socket {
  int fd;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
  bool ready(short events, int limit_ms) const {
    pollfd p{.fd = fd, .events = events, .revents = 0};
    return ::poll(&p, 1, limit_ms) == 1 && (p.revents & events);
  }
};

}  // namespace

bool ssh_answers(const std::string& address, int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) return false;
  Socket s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (s.fd < 0) return false;
  if (::connect(s.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    if (errno != EINPROGRESS || !s.ready(POLLOUT, kConnectMs)) return false;
    if (::getsockopt(s.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return false;
  }
  char greeting[4];
  return s.ready(POLLIN, kGreetingMs) && ::recv(s.fd, greeting, sizeof greeting, 0) == sizeof greeting &&
         std::memcmp(greeting, "SSH-", 4) == 0;
}

}  // namespace lab::join::vm
