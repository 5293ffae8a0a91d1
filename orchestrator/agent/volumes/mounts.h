// Mounts below a pod's directory. Blocking; the kernel's errors are passed on with the path.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::agent {

bool is_mount_point(const std::string& path);
// size 0: the kernel's default (half of the memory).
Result<void> mount_tmpfs(const std::string& path, std::int64_t size_bytes);
// Binds SUB below VOLUME onto TARGET. No symbolic link on the way may lead out of the volume; a missing directory is
// made. TARGET is made as a file or directory, as needed.
Result<void> bind_subpath(const std::string& volume, const std::string& sub, const std::string& target);
// Every mount at or below the directory, deepest first.
Result<void> unmount_below(const std::string& dir);

}  // namespace lab::agent
