#include "bootstrap/node/user_namespace.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/fs.h"

namespace lab::bootstrap {

namespace {

constexpr std::uint32_t kFirst = 0x70000000, kRanges = 0x1000;

struct Fd {
  int fd = -1;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

std::string proc_of(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

}  // namespace

Result<UserRange> choose_users(const std::vector<UserRange>& others) {
  for (std::uint32_t i = 0; i < kRanges; ++i) {
    const UserRange range{kFirst + i * kUsersOfLab};
    if (std::find(others.begin(), others.end(), range) == others.end()) return range;
  }
  return fail(Code::kUnavailable, "no range of users is free", "delete labs that are not needed: lab profile list");
}

Result<void> check_user_namespaces(const std::string& directory) {
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) {
    const int error = ::unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
    (void)!::write(ready[1], &error, sizeof error);
    while (true) ::pause();
  }
  ::close(ready[1]);
  int error = EIO;
  (void)!::read(ready[0], &error, sizeof error);
  ::close(ready[0]);
  auto verdict = [&]() -> Result<void> {
    if (error != 0)
      return fail_errno(error, "make a user namespace",
                        "allow them: sysctl -w user.max_user_namespaces=10000; or start the lab without --userns");
    LAB_CHECK(map_users(child, {kFirst}));
    Fd ns{::open(proc_of(child, "ns/user").c_str(), O_RDONLY | O_CLOEXEC)};
    if (ns.fd < 0) return fail_errno("open a user namespace");
    LAB_TRY(int copy, copy_mount(directory, {.user_namespace = ns.fd}));
    ::close(copy);
    return {};
  }();
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  if (!verdict) {
    auto why = std::move(verdict).error().with_context("nodes cannot have user namespaces here");
    why.code = Code::kUnavailable;
    return std::unexpected(std::move(why));
  }
  return {};
}

Result<void> map_users(pid_t child, const UserRange& users) {
  const std::string line = "0 " + std::to_string(users.first) + " " + std::to_string(kUsersOfLab) + "\n";
  for (const char* file : {"uid_map", "gid_map"}) LAB_CHECK(fs::write_in_place(proc_of(child, file), line));
  return {};
}

Result<void> become_root() {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
    return fail_errno("become the node's root");
  return {};
}

Result<int> copy_mount(const std::string& from, const MountCopy& how) {
  const unsigned below = how.recursive ? AT_RECURSIVE : 0;
  const int copy = ::open_tree(AT_FDCWD, from.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | below);
  if (copy < 0) return fail_errno("copy the mount of " + from);
  struct ::mount_attr attributes{};
  const bool mapped = how.user_namespace >= 0;
  if (how.read_only) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (mapped) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV;
    attributes.userns_fd = static_cast<std::uint64_t>(how.user_namespace);
  }
  if (attributes.attr_set == 0 || ::mount_setattr(copy, "", AT_EMPTY_PATH | below, &attributes, sizeof attributes) == 0)
    return copy;
  const int err = errno;
  ::close(copy);
  if (!mapped) return fail_errno(err, "make " + from + " read-only in a node", "this needs Linux 5.12");
  return fail_errno(err, "map the owners of " + from,
                    "this needs Linux 5.12 and a file system with idmapped mounts (ext4, xfs, btrfs); start the lab "
                    "without --userns");
}

}  // namespace lab::bootstrap
