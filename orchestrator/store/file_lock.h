// FileLock: keeps a second process away from a file. The lock ends with the process, however it ends.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::store {

class FileLock {
 public:
  FileLock() = default;
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();
  // Locks PATH.lock, which names the holder's process id. Unavailable when another one holds it.
  static Result<FileLock> acquire(const std::string& path);

 private:
  int fd_ = -1;
};

}  // namespace lab::store
