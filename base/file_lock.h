// FileLock: one process at a time, by an exclusive flock(2) on a file that is made for it.
//
// Let go by destruction, and by the kernel when the process ends, however it ends. The file stays: a lock whose file
// is removed would let two in.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace lab {

class FileLock {
 public:
  // Waits for another holder. Makes the file's directory where it is missing.
  static Result<FileLock> wait_for(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lab
