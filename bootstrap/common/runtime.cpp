#include "bootstrap/common/runtime.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/fs.h"

namespace lab::bootstrap {

std::string find_cri_socket() {
  for (const char* path : {kContainerdSocket, "/run/crio/crio.sock"})
    if (fs::exists(path)) return std::string("unix://") + path;
  return std::string("unix://") + kContainerdSocket;
}

bool socket_answers(const std::string& socket) {
  std::string path = socket.starts_with("unix://") ? socket.substr(7) : socket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool ok = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return ok;
}

std::string bundle_directory() {
  std::string exe = fs::self_exe();
  std::string dir = exe.substr(0, exe.rfind('/'));
  for (const auto& candidate : {dir + "/share", dir + "/../share/lab", std::string("/usr/share/lab")})
    if (fs::exists(candidate)) return candidate;
  return dir + "/share";
}

}  // namespace lab::bootstrap
