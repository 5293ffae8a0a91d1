#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

namespace lab::fs {

namespace {

struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == ENOSPC)
        return fail_errno("write " + path, "free some space on that file system (df -h " + path + ")");
      return fail_errno("write " + path);
    }
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  Fd f{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (f.fd < 0) {
    int err = errno;
    if (err == ENOENT) {
      Error e{.code = Code::kNotFound, .message = "open " + path, .sys_errno = err};
      return std::unexpected(std::move(e));
    }
    return fail_errno(err, "open " + path);
  }
  std::string out;
  char chunk[16384];
  while (true) {
    ssize_t n = ::read(f.fd, chunk, sizeof chunk);
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno("read " + path);
    }
    if (n == 0) return out;
    out.append(chunk, static_cast<std::size_t>(n));
  }
}

bool exists(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0;
}

Result<void> write_file(const std::string& path, std::string_view content, unsigned mode) {
  std::string temp = path + ".tmp-XXXXXX";
  Fd f{::mkostemp(temp.data(), O_CLOEXEC)};
  if (f.fd < 0) return fail_errno("create " + temp);
  auto undo = [&](Result<void> r) {
    ::unlink(temp.c_str());
    return r;
  };
  if (::fchmod(f.fd, mode) != 0) return undo(fail_errno("chmod " + temp));
  if (auto r = write_all(f.fd, content, temp); !r) return undo(r);
  if (::fsync(f.fd) != 0) return undo(fail_errno("sync " + temp));
  if (::rename(temp.c_str(), path.c_str()) != 0) return undo(fail_errno("rename " + temp + " to " + path));
  return {};
}

Result<void> write_in_place(const std::string& path, std::string_view content) {
  Fd f{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (f.fd < 0) return fail_errno("open " + path);
  return write_all(f.fd, content, path);
}

Result<void> append_file(const std::string& path, std::string_view content, unsigned mode) {
  Fd f{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, mode)};
  if (f.fd < 0) return fail_errno("open " + path);
  return write_all(f.fd, content, path);
}

Result<void> make_dirs(const std::string& path, unsigned mode) {
  for (std::size_t i = 1; i <= path.size(); ++i) {
    if (i != path.size() && path[i] != '/') continue;
    std::string part = path.substr(0, i);
    if (::mkdir(part.c_str(), mode) == 0) continue;
    const int err = errno;
    struct stat st;
    if (err != EEXIST) return fail_errno(err, "make directory " + part);
    if (::stat(part.c_str(), &st) == 0 && !S_ISDIR(st.st_mode))
      return fail_errno(ENOTDIR, "make directory " + part, "a file has this name: move it away");
  }
  return {};
}

namespace {

// Which mount an entry lies on. A bind mount of the same file system has its device, so the device alone would not
// tell.
struct Mount {
  std::uint64_t id = 0;
  std::uint32_t major = 0, minor = 0;
  bool operator==(const Mount&) const = default;
};

Result<Mount> mount_of(int dir, const char* name, const std::string& path) {
  struct statx st;
  if (::statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_MNT_ID, &st) != 0)
    return fail_errno("stat " + path);
  return Mount{st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0, st.stx_dev_major, st.stx_dev_minor};
}

Result<void> remove_below(int dir, const std::string& path, const Mount& mount);

Result<void> remove_entry(int dir, const char* name, const std::string& path, const Mount& mount) {
  if (::unlinkat(dir, name, 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_errno("remove " + path);
  LAB_TRY(auto here, mount_of(dir, name, path));
  if (here != mount)
    return fail_errno(EBUSY, "remove " + path + ": a file system is mounted there", "unmount it: umount " + path);
  Fd below{::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (below.fd < 0) return fail_errno("open " + path);
  LAB_CHECK(remove_below(below.fd, path, mount));
  if (::unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return fail_errno("remove " + path);
  return {};
}

Result<void> remove_below(int dir, const std::string& path, const Mount& mount) {
  LAB_TRY(auto names, list_dir("/proc/self/fd/" + std::to_string(dir)));
  for (const auto& name : names) LAB_CHECK(remove_entry(dir, name.c_str(), join(path, name), mount));
  return {};
}

}  // namespace

Result<void> remove_all(const std::string& path) {
  if (!exists(path)) return {};
  LAB_TRY(auto mount, mount_of(AT_FDCWD, path.c_str(), path));
  auto slash = path.find_last_not_of('/') == std::string::npos ? 0 : path.rfind('/', path.find_last_not_of('/'));
  const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  LAB_TRY(auto above, mount_of(AT_FDCWD, parent.c_str(), parent));
  if (above == mount) return remove_entry(AT_FDCWD, path.c_str(), path, mount);
  Fd top{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (top.fd < 0) return fail_errno("open " + path);
  return remove_below(top.fd, path, mount);
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + path);
  return {};
}

Result<std::vector<std::string>> list_dir(const std::string& path) {
  DIR* dir = ::opendir(path.c_str());
  if (!dir) return fail_errno("list " + path);
  std::vector<std::string> names;
  while (auto* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> copy_file(const std::string& from, const std::string& to, unsigned mode) {
  Fd in{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0) return fail_errno("open " + from);
  std::string temp = to + ".tmp-XXXXXX";
  Fd out{::mkostemp(temp.data(), O_CLOEXEC)};
  if (out.fd < 0) return fail_errno("create " + temp);
  auto undo = [&](Result<void> r) {
    ::unlink(temp.c_str());
    return r;
  };
  char chunk[65536];
  while (true) {
    ssize_t n = ::read(in.fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return undo(fail_errno("read " + from));
    if (n == 0) break;
    if (auto r = write_all(out.fd, {chunk, static_cast<std::size_t>(n)}, temp); !r) return undo(r);
  }
  if (::fchmod(out.fd, mode) != 0) return undo(fail_errno("chmod " + temp));
  if (::rename(temp.c_str(), to.c_str()) != 0) return undo(fail_errno("rename " + temp + " to " + to));
  return {};
}

Result<void> symlink(const std::string& target, const std::string& path) {
  if (::symlink(target.c_str(), path.c_str()) == 0) return {};
  if (errno != EEXIST) return fail_errno("link " + path);
  std::string temp = path + ".tmp-" + std::to_string(::getpid());
  ::unlink(temp.c_str());
  if (::symlink(target.c_str(), temp.c_str()) != 0) return fail_errno("link " + temp);
  if (::rename(temp.c_str(), path.c_str()) != 0) {
    int err = errno;
    ::unlink(temp.c_str());
    return fail_errno(err, "rename " + temp + " to " + path);
  }
  return {};
}

Result<std::uint64_t> free_bytes(const std::string& path) {
  struct statvfs st;
  if (::statvfs(path.c_str(), &st) != 0) return fail_errno("statvfs " + path);
  return static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
}

std::string join(std::string_view a, std::string_view b) {
  while (!a.empty() && a.back() == '/') a.remove_suffix(1);
  while (!b.empty() && b.front() == '/') b.remove_prefix(1);
  return std::string(a) + "/" + std::string(b);
}

std::string self_exe() {
  char buf[PATH_MAX];
  ssize_t n = ::readlink("/proc/self/exe", buf, sizeof buf);
  return n > 0 ? std::string(buf, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace lab::fs
