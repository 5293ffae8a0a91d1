#include "bootstrap/node/storage.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/subprocess.h"

namespace lab::bootstrap {

namespace {

constexpr off_t kImageSize = 40ll << 30;   // sparse: only what is written takes space

bool on_overlay(const std::string& path) {
  struct statfs st;
  return ::statfs(path.c_str(), &st) == 0 && st.f_type == OVERLAYFS_SUPER_MAGIC;
}

bool is_mount_point(const std::string& path) {
  struct stat here, above;
  return ::stat(path.c_str(), &here) == 0 && ::stat((path + "/..").c_str(), &above) == 0 && here.st_dev != above.st_dev;
}

Result<void> make_image(const std::string& path) {
  if (fs::exists(path)) return {};
  const std::string half = path + ".new";
  int fd = ::open(half.c_str(), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("create " + half);
  int sized = ::ftruncate(fd, kImageSize);
  ::close(fd);
  if (sized != 0) return fail_errno("size " + half);
  LAB_CHECK(run_checked({.argv = {"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", half}}));
  if (::rename(half.c_str(), path.c_str()) != 0) return fail_errno("rename " + half);
  return {};
}

}  // namespace

Result<void> make_storage(const LabLayout& layout) {
  LAB_CHECK(fs::make_dirs(layout.base(), 0711));
  if (on_overlay(layout.base()) && !is_mount_point(layout.base())) {
    LAB_CHECK(make_image(layout.disk_image()));
    LAB_CHECK(run_checked({.argv = {"mount", "-o", "loop", layout.disk_image(), layout.base()}}));
  }
  return fs::make_dirs(layout.nodes());
}

Result<std::uint64_t> storage_free(const LabLayout& layout) {
  LAB_TRY(auto here, fs::free_bytes(layout.base()));
  if (!is_mount_point(layout.base())) return here;
  LAB_TRY(auto below, fs::free_bytes(kLabsDirectory));
  return std::min(here, below);
}

void trim_storage(const LabLayout& layout) {
  if (!is_mount_point(layout.base())) return;
  int fd = ::open(layout.base().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fstrim_range all{.start = 0, .len = ~0ull, .minlen = 0};
  ::ioctl(fd, FITRIM, &all);
  ::close(fd);
}

Result<void> remove_storage(const LabLayout& layout) {
  if (is_mount_point(layout.base()) && ::umount2(layout.base().c_str(), 0) != 0 && errno != EINVAL)
    return fail_errno("unmount " + layout.base(), "a program still works there: fuser -vm " + layout.base());
  LAB_CHECK(fs::remove_file(layout.disk_image()));
  return fs::remove_all(layout.base());
}

}  // namespace lab::bootstrap
