#include "base/rooted.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>

namespace lab::fs {

namespace {

constexpr int kTries = 64;  // openat2 gives up while somebody renames below it (EAGAIN)
constexpr std::size_t kChunk = 256 << 10;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Fd open_below(int root, const std::string& path, int flags, Links links) {
  ::open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links == Links::kRefuse ? RESOLVE_NO_SYMLINKS : 0);
  for (int i = 0; i < kTries; ++i) {
    auto fd = static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN) return Fd(fd);
  }
  return Fd();
}

Failure refused(const std::string& what, const std::string& path) {
  const int err = errno;
  if (err == ENOENT)
    return std::unexpected(
        Error{.code = Code::kNotFound, .message = what + " " + path, .hint = {}, .sys_errno = err, .details = {}});
  if (err == ELOOP || err == EXDEV || err == ENOTDIR)
    return std::unexpected(Error{.code = Code::kInvalid,
                                 .message = what + " " + path,
                                 .hint = "a link or file stands in its way",
                                 .sys_errno = err,
                                 .details = {}});
  return fail_errno(err, what + " " + path);
}

// Kernel interfaces whose files look regular.
bool acts_on_the_machine(int fd) {
  struct statfs st;
  if (::fstatfs(fd, &st) != 0) return true;
  for (long magic :
       {static_cast<long>(PROC_SUPER_MAGIC), static_cast<long>(SYSFS_MAGIC), static_cast<long>(CGROUP_SUPER_MAGIC),
        static_cast<long>(CGROUP2_SUPER_MAGIC), static_cast<long>(DEBUGFS_MAGIC), static_cast<long>(TRACEFS_MAGIC),
        static_cast<long>(SECURITYFS_MAGIC), static_cast<long>(BPF_FS_MAGIC)})
    if (static_cast<long>(st.f_type) == magic) return true;
  return false;
}

// First without effect (O_PATH), then, when it is what it should be, for reading.
Result<Fd> open_regular(int root, const std::string& path) {
  Fd found = open_below(root, path, O_PATH, Links::kFollow);
  if (!found.ok()) return refused("open", path);
  struct stat st;
  if (::fstat(found.get(), &st) != 0) return refused("look at", path);
  if (!S_ISREG(st.st_mode) || acts_on_the_machine(found.get()))
    return fail(Code::kInvalid, path + " is not a file", S_ISDIR(st.st_mode) ? "it is a directory" : "");
  Fd file(
      ::open(("/proc/self/fd/" + std::to_string(found.get())).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.ok()) return refused("open", path);
  return file;
}

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return fail_errno("write " + path,
                        errno == ENOSPC || errno == EDQUOT ? "its disk is full: remove files there" : "");
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// Makes entries as the owner of the directory they go into. A node's root may be another user of this machine, and
// through its mounts (idmapped, mount_setattr(2)) this machine's root can make nothing at all (EOVERFLOW). Of this
// thread.
class AsOwnerOf {
 public:
  explicit AsOwnerOf(int directory) {
    struct stat st;
    if (::fstat(directory, &st) != 0 || (st.st_uid == ::geteuid() && st.st_gid == ::getegid())) return;
    group_ = ::setfsgid(st.st_gid);
    user_ = ::setfsuid(st.st_uid);
    changed_ = true;
  }
  AsOwnerOf(const AsOwnerOf&) = delete;
  ~AsOwnerOf() {
    if (!changed_) return;
    const int err = errno;
    ::setfsuid(static_cast<uid_t>(user_));
    ::setfsgid(static_cast<gid_t>(group_));
    errno = err;
  }

 private:
  int user_ = 0, group_ = 0;
  bool changed_ = false;
};

struct Place {
  std::string directory, name;
};
Result<Place> place_of(const std::string& path) {
  const auto slash = path.rfind('/');
  Place out{.directory = slash == std::string::npos ? "/" : path.substr(0, slash + 1),
            .name = slash == std::string::npos ? path : path.substr(slash + 1)};
  if (out.name.empty() || out.name == "." || out.name == "..")
    return fail(Code::kInvalid, "\"" + path + "\" is no name for a file");
  return out;
}

std::string temporary_name(const std::string& name) {
  static std::atomic<unsigned> counter{0};
  return "." + name.substr(0, 200) + "." + std::to_string(::getpid()) + "-" + std::to_string(counter++);
}

using Fill = std::function<Result<void>(int fd)>;

Result<void> write_beside(int root, const std::string& path, unsigned mode, Links links, const Fill& fill) {
  LAB_TRY(auto place, place_of(path));
  Fd directory = open_below(root, place.directory, O_PATH | O_DIRECTORY, links);
  if (!directory.ok()) return refused("open the directory of", path);
  if (acts_on_the_machine(directory.get())) return fail(Code::kInvalid, path + " is no place for a file");
  const std::string temporary = temporary_name(place.name);
  const AsOwnerOf owner(directory.get());
  Fd to(::openat(directory.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to.ok()) return refused("create", path);
  auto done = fill(to.get());
  if (done && ::fchmod(to.get(), mode & 07777) != 0) done = fail_errno("set the mode of " + path);
  if (done && ::fsync(to.get()) != 0) done = fail_errno("sync " + path);
  if (done && ::renameat(directory.get(), temporary.c_str(), directory.get(), place.name.c_str()) != 0)
    done = fail_errno("write " + path);
  if (!done) ::unlinkat(directory.get(), temporary.c_str(), 0);
  return done;
}

}  // namespace

Result<Rooted> Rooted::open(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return refused("open", directory);
  return Rooted(fd);
}

Rooted::~Rooted() {
  if (fd_ >= 0) ::close(fd_);
}

Result<int> Rooted::open_file(const std::string& path) const {
  LAB_TRY(auto file, open_regular(fd_, path));
  return file.release();
}

Result<std::string> Rooted::read(const std::string& path, std::size_t limit) const {
  LAB_TRY(auto file, open_regular(fd_, path));
  std::string out, chunk(kChunk, '\0');
  while (true) {
    const ssize_t n = ::read(file.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + path);
    if (n == 0) return out;
    if (out.size() + static_cast<std::size_t>(n) > limit)
      return fail(Code::kTooLarge, path + " is longer than " + std::to_string(limit) + " bytes");
    out.append(chunk, 0, static_cast<std::size_t>(n));
  }
}

Result<std::vector<std::string>> Rooted::list(const std::string& path) const {
  Fd directory = open_below(fd_, path, O_RDONLY | O_DIRECTORY, Links::kFollow);
  if (!directory.ok()) return refused("open", path);
  DIR* entries = ::fdopendir(directory.get());
  if (!entries) return fail_errno("read " + path);
  directory.release();
  std::vector<std::string> out;
  while (const dirent* entry = ::readdir(entries))
    if (const std::string name = entry->d_name; name != "." && name != "..") out.push_back(name);
  ::closedir(entries);
  std::sort(out.begin(), out.end());
  return out;
}

bool Rooted::is_directory(const std::string& path) const {
  return open_below(fd_, path, O_PATH | O_DIRECTORY, Links::kFollow).ok();
}

bool Rooted::exists(const std::string& path) const {
  return open_below(fd_, path, O_PATH | O_NOFOLLOW, Links::kFollow).ok();
}

Result<int> Rooted::open_path(const std::string& path) const {
  Fd found = open_below(fd_, path, O_PATH, Links::kFollow);
  if (!found.ok()) return refused("open", path);
  return found.release();
}

Result<void> Rooted::symlink(const std::string& target, const std::string& path) const {
  LAB_TRY(auto place, place_of(path));
  Fd directory = open_below(fd_, place.directory, O_PATH | O_DIRECTORY, Links::kFollow);
  if (!directory.ok()) return refused("open the directory of", path);
  const AsOwnerOf owner(directory.get());
  const std::string temporary = temporary_name(place.name);
  if (::symlinkat(target.c_str(), directory.get(), temporary.c_str()) != 0) return refused("link", path);
  if (::renameat(directory.get(), temporary.c_str(), directory.get(), place.name.c_str()) == 0) return {};
  auto failed = refused("link", path);
  ::unlinkat(directory.get(), temporary.c_str(), 0);
  return failed;
}

Result<void> Rooted::make_dirs(const std::string& path, unsigned mode, Links links) const {
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at + 1), path.size());
    const std::string part = path.substr(0, end);
    at = end;
    if (part.empty() || part == "/" || open_below(fd_, part, O_PATH | O_DIRECTORY, links).ok()) continue;
    if (errno != ENOENT) return refused("make directory", path);
    LAB_TRY(auto place, place_of(part));
    Fd above = open_below(fd_, place.directory, O_PATH | O_DIRECTORY, links);
    if (!above.ok()) return refused("make directory", path);
    if (acts_on_the_machine(above.get())) return fail(Code::kInvalid, path + " is no place for a directory");
    const AsOwnerOf owner(above.get());
    if (::mkdirat(above.get(), place.name.c_str(), mode) != 0 && errno != EEXIST)
      return refused("make directory", path);
  }
  return {};
}

Result<void> Rooted::write(const std::string& path, std::string_view content, unsigned mode, Links links) const {
  LAB_TRY(auto place, place_of(path));
  LAB_CHECK(make_dirs(place.directory, 0755, links));
  return write_beside(fd_, path, mode, links, [&](int to) { return write_all(to, content, path); });
}

Result<void> Rooted::write_from(int source, const std::string& path, unsigned mode, Links links) const {
  LAB_TRY(auto place, place_of(path));
  LAB_CHECK(make_dirs(place.directory, 0755, links));
  return write_beside(fd_, path, mode, links, [&](int to) -> Result<void> {
    std::string chunk(kChunk, '\0');
    while (true) {
      const ssize_t n = ::read(source, chunk.data(), chunk.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("read what is to be " + path);
      if (n == 0) return {};
      LAB_CHECK(write_all(to, std::string_view(chunk.data(), static_cast<std::size_t>(n)), path));
    }
  });
}

Result<void> Rooted::remove_file(const std::string& path) const {
  LAB_TRY(auto place, place_of(path));
  Fd directory = open_below(fd_, place.directory, O_PATH | O_DIRECTORY, Links::kFollow);
  if (!directory.ok() && errno == ENOENT) return {};
  if (!directory.ok()) return refused("open the directory of", path);
  if (::unlinkat(directory.get(), place.name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return refused("remove", path);
}

}  // namespace lab::fs
