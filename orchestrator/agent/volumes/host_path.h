// hostPath volumes, and the ownership that fsGroup asks for. Blocking.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::agent {

// Checks or makes the path as its type says ("", DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice,
// BlockDevice). Errors are worded as the kubelet's: `hostPath type check failed: /x is not a directory`.
Result<void> prepare_host_path(const std::string& path, const std::string& type);
// Group owner, group read and write, and set-group-id on directories, for everything below.
Result<void> give_to_group(const std::string& dir, unsigned group);

}  // namespace lab::agent
