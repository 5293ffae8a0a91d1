#include "bootstrap/node/network_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/fs.h"

namespace lab::bootstrap {

Result<NetworkLock> NetworkLock::take() {
  const std::string path = "/run/lab/networks.lock";
  LAB_CHECK(fs::make_dirs("/run/lab"));
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("open " + path);
  NetworkLock out(fd);
  while (::flock(fd, LOCK_EX) != 0)
    if (errno != EINTR) return fail_errno("lock " + path);
  return out;
}

NetworkLock::~NetworkLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace lab::bootstrap
