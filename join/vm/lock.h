// One command at a time: an advisory lock (flock(2)) on a file, held until destruction, and let go by the kernel when
// its holder dies.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace lab::join::vm {

class FileLock {
 public:
  // Waits up to a minute for another holder. kConflict names its pid and what it does ("makes an image").
  static Result<FileLock> take(const std::string& path, const std::string& what);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lab::join::vm
