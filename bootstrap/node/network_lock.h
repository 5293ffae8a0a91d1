// NetworkLock: whoever chooses a network on this machine, for a lab or for virtual machines, holds it from the choice
// until others can see what was chosen: labs may be started at the same moment.
#pragma once

#include <utility>

#include "base/result.h"

namespace lab::bootstrap {

class NetworkLock {
 public:
  // Waits for another holder. Let go by destruction, and by the kernel when the process ends.
  static Result<NetworkLock> take();
  NetworkLock(NetworkLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~NetworkLock();

 private:
  explicit NetworkLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lab::bootstrap
