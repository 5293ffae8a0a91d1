// User namespaces of nodes (user_namespaces(7)): root in the node is an ordinary user of this machine, without a right
// over anything that is not the node's own.
//
// Files keep the owners that they have in the node (0 for its root): the node sees them through idmapped mounts
// (mount_setattr(2), Linux 5.12), so that snapshots and commands on this machine need not know of it. All nodes of a
// lab share a range of users, and no two labs do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

inline constexpr std::uint32_t kUsersOfLab = 65536;

struct UserRange {
  std::uint32_t first = 0;  // what the node's root is on this machine
  bool empty() const { return first == 0; }
  bool operator==(const UserRange&) const = default;
};

// The first range that none of these have. Between those of systemd's containers and those that no kernel API takes.
Result<UserRange> choose_users(const std::vector<UserRange>& others);
// Why nodes cannot have user namespaces on this machine, with files in this directory. Unavailable, with a hint.
Result<void> check_user_namespaces(const std::string& directory);

// Of a child that has just been made in a namespace of its own; by its parent.
Result<void> map_users(pid_t child, const UserRange& users);
// In the child, once it is mapped: takes the namespace's user and group 0.
Result<void> become_root();

// A mount of `from`, file or directory, that is nowhere yet (open_tree(2), Linux 5.12): a descriptor, to be closed.
struct MountCopy {
  bool recursive = false;  // with what is mounted below
  bool read_only = false;
  int user_namespace = -1;  // not -1: owners are seen shifted by its map, and devices do not work
};
Result<int> copy_mount(const std::string& from, const MountCopy& how);

}  // namespace lab::bootstrap
