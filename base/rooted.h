// Rooted: files below a directory that somebody else writes, such as a node's root file system.
//
// A path is looked up as a process whose "/" is that directory would see it (openat2(2), RESOLVE_IN_ROOT): "..", links
// and absolute links end inside, /proc's magic links are refused. Only regular files are opened, never a FIFO (it would
// wait for ever), a device, or a file of /proc, /sys or a cgroup (they act on the machine with the caller's rights).
// Whoever reads or writes files of a node from outside uses this, not the path itself: a student's link must not lead
// this program, which is root, to the machine's own files.
//
// Blocking; an object may be used by several threads. Errors name the path as it was given.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace lab::fs {

inline constexpr std::size_t kRootedReadLimit = 64 << 20;  // bytes; who plants a huge file takes no memory here

enum class Links {
  kFollow,  // as far as they lead inside
  kRefuse,  // one anywhere in the path is kInvalid: for uploads
};

class Rooted {
 public:
  static Result<Rooted> open(const std::string& directory);  // "/proc/PID/root", or any directory
  Rooted(Rooted&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Rooted& operator=(Rooted&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Rooted();

  // kNotFound; kInvalid when it is no regular file; kTooLarge beyond `limit` bytes.
  Result<std::string> read(const std::string& path, std::size_t limit = kRootedReadLimit) const;
  Result<int> open_file(const std::string& path) const;                  // for reading; the caller closes it
  Result<std::vector<std::string>> list(const std::string& path) const;  // names, sorted
  bool is_directory(const std::string& path) const;
  bool exists(const std::string& path) const;            // a link itself, wherever it leads
  Result<int> open_path(const std::string& path) const;  // O_PATH, whatever it is: to mount on; the caller closes it

  // Written beside its place and renamed: a link or anything else of that name is replaced, not followed. Directories
  // on the way are made. What is made belongs to the owner of the directory it is in (the node's root may be another
  // user of this machine). No space: kIo, and nothing is left.
  Result<void> write(const std::string& path, std::string_view content, unsigned mode = 0644,
                     Links links = Links::kFollow) const;
  Result<void> write_from(int source, const std::string& path, unsigned mode = 0644,
                          Links links = Links::kFollow) const;
  Result<void> make_dirs(const std::string& path, unsigned mode = 0755, Links links = Links::kFollow) const;
  Result<void> symlink(const std::string& target, const std::string& path) const;  // replaces a link that is there
  Result<void> remove_file(const std::string& path) const;                         // absent is fine; a link itself

 private:
  explicit Rooted(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lab::fs
