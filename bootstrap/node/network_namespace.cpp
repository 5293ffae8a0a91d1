#include "bootstrap/node/network_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/netlink/netns.h"

namespace lab::bootstrap {

namespace {

Result<void> enter_namespace(const LabNetwork& network) {
  const std::string how = "start the lab: its network is made anew then";
  auto ns = NetNs::open(network.netns);
  if (!ns) return fail(Code::kUnavailable, "the lab's network is not there: " + ns.error().message, how);
  // EINVAL: an ordinary file, left by a machine that went down.
  if (::setns(ns->fd(), CLONE_NEWNET) != 0) return fail_errno("enter the lab's network " + network.netns, how);
  return {};
}

}  // namespace

Result<InNetwork> InNetwork::enter(const LabNetwork& network) {
  if (!network.isolated()) return InNetwork(-1);
  const int before = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (before < 0) return fail_errno("open this thread's network namespace");
  InNetwork out(before);
  if (auto entered = enter_namespace(network); !entered) {
    ::close(std::exchange(out.before_, -1));
    return std::unexpected(std::move(entered).error());
  }
  return out;
}

InNetwork::~InNetwork() {
  if (before_ < 0) return;
  if (::setns(before_, CLONE_NEWNET) != 0) {
    // What this thread dials from now on would reach the wrong machines.
    std::perror("lab: leave a lab's network");
    std::abort();
  }
  ::close(before_);
}

Result<void> move_into(const LabNetwork& network) {
  return network.isolated() ? enter_namespace(network) : Result<void>{};
}

Result<int> socket_in(const LabNetwork& network, int family, int type) {
  LAB_TRY(auto inside, InNetwork::enter(network));
  const int fd = ::socket(family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail_errno("make a socket in the lab's network");
  return fd;
}

}  // namespace lab::bootstrap
