#include "labs/classroom/server/dial.h"

#include <sys/socket.h>

#include "base/io/address.h"
#include "base/io/descriptor.h"
#include "base/io/listener.h"
#include "base/io/socket.h"
#include "bootstrap/local/profile.h"
#include "bootstrap/node/network_namespace.h"

namespace lab::classroom {

namespace {

struct Prepared {
  std::string address;
  SocketAddress target;
  OwnedFd socket;
};

Result<Prepared> prepare(const std::string& profile, const std::string& node, int port) {
  LAB_TRY(const auto lab, bootstrap::load_profile(profile));
  for (const auto& one : lab.nodes) {
    if (one.name != node) continue;
    LAB_TRY(auto targets, resolve_blocking(one.address, port, true));
    LAB_TRY(const int fd, bootstrap::socket_in(lab.network, targets[0].storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK));
    return Prepared{one.address, targets[0], OwnedFd(fd)};
  }
  return fail(Code::kNotFound, "there is no node \"" + node + "\" in this lab");
}

}  // namespace

Task<Result<NodeConnection>> dial_node(Pool& pool, std::string profile, std::string node, int port, Duration timeout) {
  LAB_CO_TRY(auto ready, co_await pool.run([profile, node, port] { return prepare(profile, node, port); }));
  const std::string name = ready.target.text();
  auto descriptor = std::make_unique<Descriptor>(ready.socket.release());
  if (::connect(descriptor->fd(), ready.target.get(), ready.target.length) != 0) {
    if (errno != EINPROGRESS) co_return stream_error("connect", name, errno);
    Deadline deadline(timeout, [d = descriptor.get()] { d->close(); });
    if (!co_await descriptor->writable()) co_return fail(Code::kTimeout, "connect " + name + ": no answer");
    int err = 0;
    socklen_t length = sizeof err;
    ::getsockopt(descriptor->fd(), SOL_SOCKET, SO_ERROR, &err, &length);
    if (err != 0) co_return stream_error("connect", name, err);
  }
  tune_tcp(descriptor->fd());
  co_return NodeConnection{ready.address, make_socket_stream({std::move(descriptor), name})};
}

}  // namespace lab::classroom
