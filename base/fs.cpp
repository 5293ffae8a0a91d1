#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>

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
      if (errno == ENOSPC) return fail_errno("write " + path, "free some space on that file system (df -h " + path + ")");
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
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("make directory " + part);
  }
  return {};
}

Result<void> remove_all(const std::string& path) {
  auto visit = [](const char* p, const struct stat*, int, FTW*) -> int { return ::remove(p) == 0 ? 0 : errno; };
  if (!exists(path)) return {};
  int r = ::nftw(path.c_str(), visit, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  if (r > 0) return fail_errno(r, "remove " + path);
  if (r < 0) return fail_errno("remove " + path);
  return {};
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
