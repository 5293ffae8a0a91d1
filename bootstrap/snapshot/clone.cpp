#include "bootstrap/snapshot/clone.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "base/crypto/encoding.h"
#include "base/crypto/hasher.h"
#include "base/fs.h"

namespace lab::bootstrap {

namespace {

constexpr std::size_t kChunk = 256 << 10;
constexpr std::uint64_t kEntrySize = 4096;  // a directory's block, or an inode with its share of one
constexpr mode_t kPermissions = 07777;

struct Fd {
  int fd;
  explicit Fd(int f) : fd(f) {}
  Fd(const Fd&) = delete;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

std::int64_t mtime_of(const struct stat& st) {
  return static_cast<std::int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec;
}

std::string below(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

Result<std::vector<std::string>> names_in(int directory, const std::string& shown) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = copy < 0 ? nullptr : ::fdopendir(copy);
  if (!dir) {
    if (copy >= 0) ::close(copy);
    return fail_errno("list " + shown);
  }
  std::vector<std::string> out;
  while (auto* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") out.emplace_back(name);
  }
  ::closedir(dir);
  return out;
}

Result<void> copy_attributes(int from, int to, const std::string& shown) {
  char list[4096];
  const ssize_t length = ::flistxattr(from, list, sizeof list);
  if (length < 0) {
    if (errno == EOPNOTSUPP) return {};
    return fail_errno("read the attributes of " + shown);
  }
  std::vector<char> value(65536);
  for (const char* name = list; name < list + length; name += std::strlen(name) + 1) {
    const ssize_t size = ::fgetxattr(from, name, value.data(), value.size());
    if (size < 0) return fail_errno("read attribute " + std::string(name) + " of " + shown);
    if (::fsetxattr(to, name, value.data(), static_cast<std::size_t>(size), 0) != 0)
      return fail_errno("write attribute " + std::string(name) + " of the copy of " + shown);
  }
  return {};
}

Failure no_space_or(const std::string& what) {
  return fail_errno(what, errno == ENOSPC || errno == EDQUOT
                              ? "free some space: lab snapshot delete NAME, or df -h /var/lib/lab"
                              : "");
}

// Copies the bytes and returns their digest. A file with holes gets them where a whole chunk is empty.
Result<std::string> copy_bytes(int from, int to, const std::string& shown, const struct stat& st) {
  static const std::vector<char> kZeros(kChunk, 0);
  const bool sparse = static_cast<std::uint64_t>(st.st_blocks) * 512 < static_cast<std::uint64_t>(st.st_size);
  thread_local std::vector<char> chunk(kChunk);
  crypto::Sha256 digest;
  off_t at = 0;
  while (true) {
    ssize_t n = ::read(from, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + shown);
    if (n == 0) break;
    const auto size = static_cast<std::size_t>(n);
    digest.add({chunk.data(), size});
    const bool hole = sparse && std::memcmp(chunk.data(), kZeros.data(), size) == 0;
    for (std::size_t done = 0; !hole && done < size;) {
      const ssize_t written = ::pwrite(to, chunk.data() + done, size - done, at + static_cast<off_t>(done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return no_space_or("write the copy of " + shown);
      done += static_cast<std::size_t>(written);
    }
    at += n;
  }
  if (::ftruncate(to, at) != 0) return no_space_or("size the copy of " + shown);
  return crypto::hex_encode(digest.finish());
}

Result<void> set_times(int fd, const char* name, const struct stat& st, const std::string& shown) {
  const timespec times[2] = {st.st_atim, st.st_mtim};
  const int done = name ? ::utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) : ::futimens(fd, times);
  if (done != 0) return fail_errno("set the times of the copy of " + shown);
  return {};
}

class Cloner {
 public:
  Cloner(const std::string& from, const std::string& to, const CloneOptions& options, Cloned& out)
      : from_(from), to_(to), options_(options), out_(out), seen_known_(0) {}

  Result<void> run() {
    Fd source(::open(from_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (source.fd < 0) return fail_errno("open " + from_);
    if (::mkdir(to_.c_str(), 0700) != 0) return no_space_or("make directory " + to_);
    Fd target(::open(to_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (target.fd < 0) return fail_errno("open " + to_);
    LAB_CHECK(directory(source.fd, target.fd, "", options_.settled.contains("")));
    if (options_.known && seen_known_ != options_.known->size()) return missing();
    return {};
  }

 private:
  std::string shown(const std::string& path) const { return path.empty() ? from_ : fs::join(from_, path); }

  Failure damaged(const std::string& path, const std::string& how) const {
    return fail(Code::kIo, shown(path) + " is damaged: " + how);
  }

  Failure missing() const {
    for (const auto& [path, record] : *options_.known)
      if (!out_.index.contains(path)) return damaged(path, "it is missing");
    return damaged("", "files are missing");
  }

  // Contents first, then what is known of the directory itself, since each entry that is made changes its time.
  Result<void> directory(int from, int to, const std::string& path, bool settled) {
    LAB_TRY(auto names, names_in(from, shown(path)));
    for (const auto& name : names) {
      const std::string here = below(path, name);
      if (!options_.left_out.contains(here)) LAB_CHECK(entry(from, to, name, here, settled));
    }
    struct stat st;
    if (::fstat(from, &st) != 0) return fail_errno("stat " + shown(path));
    LAB_CHECK(copy_attributes(from, to, shown(path)));
    if (::fchown(to, st.st_uid, st.st_gid) != 0 || ::fchmod(to, st.st_mode & kPermissions) != 0)
      return fail_errno("set owner and mode of the copy of " + shown(path));
    return set_times(to, nullptr, st, shown(path));
  }

  Result<void> entry(int from, int to, const std::string& name, const std::string& path, bool settled) {
    struct stat st;
    if (::fstatat(from, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno("stat " + shown(path));
    if (S_ISDIR(st.st_mode) && options_.whole.contains(path)) return whole_directory(to, name, path);
    if (S_ISDIR(st.st_mode)) {
      Fd source(::openat(from, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (source.fd < 0) return fail_errno("open " + shown(path));
      if (::mkdirat(to, name.c_str(), 0700) != 0) return no_space_or("make the copy of " + shown(path));
      Fd target(::openat(to, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (target.fd < 0) return fail_errno("open the copy of " + shown(path));
      return directory(source.fd, target.fd, path, settled || options_.settled.contains(path));
    }
    if (S_ISREG(st.st_mode)) return file(from, to, name, path, st, settled);
    return special(from, to, name, path, st);
  }

  Result<void> file(int from, int to, const std::string& name, const std::string& path, const struct stat& st,
                    bool settled) {
    FileRecord record{.size = static_cast<std::uint64_t>(st.st_size), .mtime = mtime_of(st)};
    const FileRecord* known = nullptr;
    if (options_.known) {
      auto found = options_.known->find(path);
      if (found == options_.known->end()) return damaged(path, "it does not belong to the snapshot");
      known = &found->second;
      if (known->size != record.size)
        return damaged(path,
                       "it has " + std::to_string(record.size) + " bytes instead of " + std::to_string(known->size));
      if (known->mtime != record.mtime) return damaged(path, "it was written after the snapshot was made");
      ++seen_known_;
    }
    const bool may_link = known ? known->how == How::kLinked : settled;
    if (may_link && !options_.shared_at.empty()) {
      LAB_CHECK(link_to_shared(to, name, path));
      note_linked(path, record);
      return {};
    }
    if (may_link && ::linkat(from, name.c_str(), to, name.c_str(), 0) == 0) {
      note_linked(path, record);
      return {};
    }
    if (!may_link && st.st_nlink > 1 && again(to, name, path, st)) return {};
    return bytes(from, to, name, path, st, known, std::move(record));
  }

  void note_linked(const std::string& path, FileRecord record) {
    record.how = How::kLinked;
    out_.shared_bytes += record.size;
    out_.index.emplace(path, std::move(record));
  }

  Result<void> link_to_shared(int to, const std::string& name, const std::string& path) {
    if (::symlinkat(fs::join(options_.shared_at, path).c_str(), to, name.c_str()) != 0)
      return no_space_or("make the link to " + shown(path));
    return {};
  }

  // Its files are looked at as they would be if they were linked one by one.
  Result<void> whole_directory(int to, const std::string& name, const std::string& path) {
    const std::string inside = path + "/";
    static const Index kNothing;
    for (const auto& [file, record] : options_.known ? *options_.known : kNothing) {
      if (!file.starts_with(inside)) continue;
      struct stat st;
      if (::lstat(shown(file).c_str(), &st) != 0) return damaged(file, "it is missing");
      if (static_cast<std::uint64_t>(st.st_size) != record.size || mtime_of(st) != record.mtime)
        return damaged(file, "it was written after the snapshot was made");
      ++seen_known_;
      note_linked(file, record);
    }
    return link_to_shared(to, name, path);
  }

  // A file that has been copied under another of its names gets this name as well.
  bool again(int to, const std::string& name, const std::string& path, const struct stat& st) {
    auto [place, first] = copied_.try_emplace({st.st_dev, st.st_ino}, path);
    if (first) return false;
    if (::linkat(AT_FDCWD, fs::join(to_, place->second).c_str(), to, name.c_str(), 0) != 0) return false;
    out_.index.emplace(path, out_.index.at(place->second));
    return true;
  }

  Result<void> bytes(int from, int to, const std::string& name, const std::string& path, const struct stat& st,
                     const FileRecord* known, FileRecord record) {
    Fd source(::openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (source.fd < 0) return fail_errno("open " + shown(path));
    Fd target(::openat(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (target.fd < 0) return no_space_or("make the copy of " + shown(path));
    if (record.size > 0 && ::ioctl(target.fd, FICLONE, source.fd) == 0) {
      record.how = How::kCloned;
      out_.shared_bytes += record.size;
    } else {
      LAB_TRY(record.digest, copy_bytes(source.fd, target.fd, shown(path), st));
      if (known && !known->digest.empty() && known->digest != record.digest)
        return damaged(path, "its bytes are not those that were saved");
      out_.copied_bytes += record.size;
    }
    LAB_CHECK(copy_attributes(source.fd, target.fd, shown(path)));
    if (::fchown(target.fd, st.st_uid, st.st_gid) != 0 || ::fchmod(target.fd, st.st_mode & kPermissions) != 0)
      return fail_errno("set owner and mode of the copy of " + shown(path));
    LAB_CHECK(set_times(target.fd, nullptr, st, shown(path)));
    out_.index.emplace(path, std::move(record));
    return {};
  }

  Result<void> special(int from, int to, const std::string& name, const std::string& path, const struct stat& st) {
    if (S_ISSOCK(st.st_mode)) return {};
    if (S_ISLNK(st.st_mode)) {
      std::vector<char> target(static_cast<std::size_t>(st.st_size) + 1);
      const ssize_t n = ::readlinkat(from, name.c_str(), target.data(), target.size());
      if (n < 0) return fail_errno("read the link " + shown(path));
      if (::symlinkat(std::string(target.data(), static_cast<std::size_t>(n)).c_str(), to, name.c_str()) != 0)
        return no_space_or("make the copy of " + shown(path));
    } else if (::mknodat(to, name.c_str(), st.st_mode, st.st_rdev) != 0) {
      return no_space_or("make the copy of " + shown(path));
    }
    if (::fchownat(to, name.c_str(), st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("set the owner of the copy of " + shown(path));
    if (!S_ISLNK(st.st_mode) && ::fchmodat(to, name.c_str(), st.st_mode & kPermissions, 0) != 0)
      return fail_errno("set the mode of the copy of " + shown(path));
    return set_times(to, name.c_str(), st, shown(path));
  }

  const std::string from_, to_;
  const CloneOptions& options_;
  Cloned& out_;
  std::size_t seen_known_;
  std::map<std::pair<dev_t, ino_t>, std::string> copied_;  // files of several names, by the first one's path
};

struct Sizes {
  bool blocks_shared = false, same_file_system = false;
  std::uint64_t bytes = 0;
};

Result<void> measure(const std::string& root, const std::string& path, bool settled, const CloneOptions& options,
                     Sizes& sizes) {
  const std::string shown = path.empty() ? root : fs::join(root, path);
  LAB_TRY(auto names, fs::list_dir(shown));
  for (const auto& name : names) {
    const std::string here = below(path, name);
    if (options.left_out.contains(here)) continue;
    struct stat st;
    if (::lstat(fs::join(root, here).c_str(), &st) != 0) {
      if (errno == ENOENT) continue;  // it went meanwhile
      return fail_errno("stat " + fs::join(root, here));
    }
    if (S_ISDIR(st.st_mode)) {
      sizes.bytes += kEntrySize;
      auto inside = measure(root, here, settled || options.settled.contains(here), options, sizes);
      if (!inside && inside.error().sys_errno != ENOENT) return inside;
    } else if (S_ISREG(st.st_mode)) {
      bool linked = settled;
      if (options.known) {
        auto found = options.known->find(here);
        linked = found != options.known->end() && found->second.how == How::kLinked;
      }
      if (linked && !options.shared_at.empty()) continue;
      if (sizes.same_file_system && (linked || sizes.blocks_shared)) continue;
      sizes.bytes += static_cast<std::uint64_t>(st.st_blocks) * 512;
    }
  }
  return {};
}

}  // namespace

bool shares_blocks(const std::string& directory) {
  std::string one = directory + "/.clone-XXXXXX", other = one;
  Fd source(::mkostemp(one.data(), O_CLOEXEC));
  Fd target(::mkostemp(other.data(), O_CLOEXEC));
  const std::string text(4096, 'x');
  const bool written =
      source.fd >= 0 && ::write(source.fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool shared = written && target.fd >= 0 && ::ioctl(target.fd, FICLONE, source.fd) == 0;
  if (source.fd >= 0) ::unlink(one.c_str());
  if (target.fd >= 0) ::unlink(other.c_str());
  return shared;
}

Result<std::uint64_t> clone_size(const std::string& from, const std::string& to_directory,
                                 const CloneOptions& options) {
  struct stat a, b;
  if (::stat(from.c_str(), &a) != 0) return fail_errno("stat " + from);
  if (::stat(to_directory.c_str(), &b) != 0) return fail_errno("stat " + to_directory);
  Sizes sizes{.same_file_system = a.st_dev == b.st_dev};
  sizes.blocks_shared = sizes.same_file_system && shares_blocks(to_directory);
  LAB_CHECK(measure(from, "", false, options, sizes));
  return sizes.bytes;
}

Result<Cloned> clone_tree(const std::string& from, const std::string& to, const CloneOptions& options) {
  Cloned out;
  LAB_CHECK(Cloner(from, to, options, out).run());
  return out;
}

}  // namespace lab::bootstrap
