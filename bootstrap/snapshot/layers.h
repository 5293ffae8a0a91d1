// What of a node's container storage nobody writes any more: contents named by their digest, and image layers that the
// overlayfs snapshotter has committed. A copy may share their files instead of holding them twice.
#pragma once

#include <set>
#include <string>

#include "base/result.h"

namespace lab::bootstrap {

// Directories below `base`, a node's own ("var/lib/containerd/.../snapshots/12/fs"). Layers that containers write are
// not among them, nor is anything when containerd's records cannot be read: then all is copied.
std::set<std::string> settled_directories(const std::string& base);

// One of those that hold a layer and never change; the others get new files.
bool is_layer(const std::string& settled_directory);

// Numbers of the committed snapshots in the snapshotter's records (containerd, snapshots/storage/bolt.go).
Result<std::set<std::uint64_t>> committed_snapshots(const std::string& metadata_file);

}  // namespace lab::bootstrap
