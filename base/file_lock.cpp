#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/fs.h"

namespace lab {

Result<FileLock> FileLock::wait_for(const std::string& path) {
  LAB_CHECK(fs::make_dirs(path.substr(0, path.rfind('/'))));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("open " + path);
  FileLock out(fd);
  while (::flock(fd, LOCK_EX) != 0)
    if (errno != EINTR) return fail_errno("lock " + path);
  return out;
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace lab
