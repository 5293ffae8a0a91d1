#include "orchestrator/agent/volumes/host_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/fs.h"

namespace lab::agent {

Result<void> prepare_host_path(const std::string& path, const std::string& type) {
  if (type.empty()) return {};
  struct stat st{};
  bool there = ::stat(path.c_str(), &st) == 0;
  auto wrong = [&](const std::string& what) {
    return fail(Code::kInvalid, "hostPath type check failed: " + path + " is not " + what);
  };
  if (type == "DirectoryOrCreate") {
    if (!there) return fs::make_dirs(path, 0755);
    if (!S_ISDIR(st.st_mode)) return wrong("a directory");
  } else if (type == "FileOrCreate") {
    if (!there) return fs::write_file(path, "", 0644);
    if (!S_ISREG(st.st_mode)) return wrong("a file");
  } else if (type == "Directory") {
    if (!there || !S_ISDIR(st.st_mode)) return wrong("a directory");
  } else if (type == "File") {
    if (!there || !S_ISREG(st.st_mode)) return wrong("a file");
  } else if (type == "Socket") {
    if (!there || !S_ISSOCK(st.st_mode)) return wrong("a socket file");
  } else if (type == "CharDevice") {
    if (!there || !S_ISCHR(st.st_mode)) return wrong("a character device");
  } else if (type == "BlockDevice") {
    if (!there || !S_ISBLK(st.st_mode)) return wrong("a block device");
  } else {
    return fail(Code::kInvalid, "hostPath type \"" + type + "\" is unknown");
  }
  return {};
}

Result<void> give_to_group(const std::string& dir, unsigned group) {
  namespace stdfs = std::filesystem;
  auto give = [&](const std::string& path) -> Result<void> {
    struct stat st{};
    if (::lstat(path.c_str(), &st) != 0) return fail_errno("look at " + path);
    if (::lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0) return fail_errno("change the group of " + path);
    if (S_ISLNK(st.st_mode)) return {};
    mode_t mode = (st.st_mode & 07777) | 0060;
    if (S_ISDIR(st.st_mode)) mode |= 02010;
    if (::chmod(path.c_str(), mode) != 0) return fail_errno("change the mode of " + path);
    return {};
  };
  LAB_CHECK(give(dir));
  std::error_code ec;
  for (auto it = stdfs::recursive_directory_iterator(dir, ec); !ec && it != stdfs::recursive_directory_iterator();
       it.increment(ec))
    LAB_CHECK(give(it->path().string()));
  return {};
}

}  // namespace lab::agent
