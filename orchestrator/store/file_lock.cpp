#include "orchestrator/store/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lab::store {

namespace {

std::string holder_of(int fd) {
  char text[32] = {};
  ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  std::string pid(text, n > 0 ? n : 0);
  while (!pid.empty() && (pid.back() < '0' || pid.back() > '9')) pid.pop_back();
  return pid;
}

}  // namespace

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<FileLock> FileLock::acquire(const std::string& path) {
  std::string name = path + ".lock";
  FileLock lock;
  lock.fd_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock.fd_ < 0)
    return fail_errno("store " + path + ": cannot make its lock file " + name,
                      "check that the directory exists and that this user may write there");
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("store " + path + ": cannot lock " + name);
    std::string pid = holder_of(lock.fd_);
    return fail(Code::kUnavailable, "store " + path + " is in use by process " + (pid.empty() ? "(not known)" : pid),
                "only one process may have it open: stop that one first (`ps -p " + (pid.empty() ? "PID" : pid) +
                    "` tells what it is)");
  }
  // The file stays when the lock goes: removing it would race with the next holder.
  std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, pid.data(), pid.size(), 0) < 0)
    return fail_errno("store " + path + ": cannot write " + name);
  return lock;
}

}  // namespace lab::store
