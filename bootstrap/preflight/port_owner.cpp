#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/fs.h"
#include "bootstrap/preflight/preflight.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kListen = "0A";

// Inode of the socket that listens on the port, from /proc/net/tcp[6]: the local port is hexadecimal after the colon.
std::string listening_inode(int port) {
  char suffix[8];
  std::snprintf(suffix, sizeof suffix, ":%04X", static_cast<unsigned>(port));
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    auto text = fs::read_file(table);
    if (!text) continue;
    std::istringstream lines(*text);
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      std::string slot, local, remote, state, queues, timer, retransmit, uid, timeout, inode;
      fields >> slot >> local >> remote >> state >> queues >> timer >> retransmit >> uid >> timeout >> inode;
      if (state == kListen && local.ends_with(suffix)) return inode;
    }
  }
  return {};
}

}  // namespace

std::string port_owner(int port) {
  const std::string inode = listening_inode(port);
  if (inode.empty()) return {};
  const std::string want = "socket:[" + inode + "]";
  auto pids = fs::list_dir("/proc");
  if (!pids) return {};
  for (const auto& pid : *pids) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    auto fds = fs::list_dir("/proc/" + pid + "/fd");
    if (!fds) continue;
    for (const auto& fd : *fds) {
      char target[PATH_MAX];
      ssize_t n = ::readlink(("/proc/" + pid + "/fd/" + fd).c_str(), target, sizeof target);
      if (n <= 0 || std::string(target, static_cast<std::size_t>(n)) != want) continue;
      auto comm = fs::read_file("/proc/" + pid + "/comm");
      return (comm ? comm->substr(0, comm->find('\n')) : "a process") + " (pid " + pid + ")";
    }
  }
  return "another process";
}

}  // namespace lab::bootstrap
