// Copies of directory trees that cost as little time and space as the file system allows, for trees that stand still.
//
// Each regular file is linked (where its directory is said to be settled), else its blocks are shared (FICLONE, on
// btrfs and XFS), else it is copied, with a digest taken on the way. Owners, modes, times, extended attributes, devices
// (overlayfs marks deletions by them), FIFOs and hard links within the tree are kept; sockets are not, since nobody
// listens on a copy. Blocking; trees may be copied at the same time.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/result.h"
#include "bootstrap/snapshot/index.h"

namespace lab::bootstrap {

struct CloneOptions {
  std::set<std::string> settled;   // directories below the tree whose files are never written again; "": all of it
  std::set<std::string> left_out;  // paths below the tree
  const Index* known = nullptr;    // what the files must be, and how each is copied; else it is found out
  // Where the files that would be linked can be found as well, as the copy's users see it: the copy gets symbolic links
  // into that directory instead. Empty: it does not.
  std::string shared_at;
  std::set<std::string> whole;     // directories whose files are all such: each becomes one symbolic link
};
struct Cloned {
  Index index;
  std::uint64_t shared_bytes = 0;  // that both trees hold together
  std::uint64_t copied_bytes = 0;
};

// Makes `to`, which must not exist. An error leaves what has been made; a file that is not as `known` says is kIo and
// named.
Result<Cloned> clone_tree(const std::string& from, const std::string& to, const CloneOptions& options);

// The space that clone_tree would take on `to_directory`'s file system, in bytes, somewhat above the truth.
Result<std::uint64_t> clone_size(const std::string& from, const std::string& to_directory, const CloneOptions& options);

// Whether files of the directory's file system can share blocks.
bool shares_blocks(const std::string& directory);

}  // namespace lab::bootstrap
