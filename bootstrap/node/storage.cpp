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
#include <chrono>
#include <thread>

#include "base/subprocess.h"

namespace lab::bootstrap {

namespace {

constexpr std::uint64_t kImageSize = 40ull << 30;  // sparse: only what is written takes space
constexpr std::uint64_t kSmallestImage = 64ull << 20;
constexpr auto kUnusedLimit = std::chrono::seconds(10);

bool on_overlay(const std::string& path) {
  struct statfs st;
  return ::statfs(path.c_str(), &st) == 0 && st.f_type == OVERLAYFS_SUPER_MAGIC;
}

bool is_mount_point(const std::string& path) {
  struct stat here, above;
  return ::stat(path.c_str(), &here) == 0 && ::stat((path + "/..").c_str(), &above) == 0 && here.st_dev != above.st_dev;
}

Result<void> make_image(const std::string& path, std::uint64_t size) {
  const std::string half = path + ".new";
  int fd = ::open(half.c_str(), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("create " + half);
  int sized = ::ftruncate(fd, static_cast<off_t>(size));
  ::close(fd);
  if (sized != 0) return fail_errno("size " + half);
  LAB_CHECK(run_checked(
      {.argv = {"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", half}}));
  if (::rename(half.c_str(), path.c_str()) != 0) return fail_errno("rename " + half);
  return {};
}

Result<void> mount_image(const LabLayout& layout) {
  if (is_mount_point(layout.base())) return {};
  LAB_CHECK(run_checked({.argv = {"mount", "-o", "loop,discard,noinit_itable", layout.disk_image(), layout.base()}}));
  return {};
}

// Of the ext4 in the image, as its superblock says (ext4(5), s_blocks_count and s_log_block_size). 0: it cannot be
// read.
std::uint64_t file_system_size(const std::string& image) {
  struct {
    std::uint32_t inodes, blocks, reserved, free_blocks, free_inodes, first_block, log_block_size;
  } head{};
  const int fd = ::open(image.c_str(), O_RDONLY | O_CLOEXEC);
  const bool whole = fd >= 0 && ::pread(fd, &head, sizeof head, 1024) == sizeof head && head.log_block_size <= 6;
  if (fd >= 0) ::close(fd);
  return whole ? static_cast<std::uint64_t>(head.blocks) << (10 + head.log_block_size) : 0;
}

Result<void> grow_mounted(const LabLayout& layout) {
  LAB_TRY(auto device,
          run_checked({.argv = {"findmnt", "--noheadings", "--output", "SOURCE", "--target", layout.base()}}));
  while (device.ends_with('\n')) device.pop_back();
  LAB_CHECK(run_checked({.argv = {"losetup", "--set-capacity", device}}));
  LAB_CHECK(run_checked({.argv = {"resize2fs", device}}));
  return {};
}

// A mount lives on in copies of this mount namespace, as one that is being made for a node: until the last has gone the
// image must not be touched.
Result<void> wait_unused(const std::string& image) {
  const auto deadline = std::chrono::steady_clock::now() + kUnusedLimit;
  while (true) {
    LAB_TRY(auto devices, run_checked({.argv = {"losetup", "--associated", image}}));
    if (devices.empty()) return {};
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Code::kUnavailable, image + " is still in use: " + devices.substr(0, devices.find('\n')),
                  "try again in a moment");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Where this machine's root may not resize a mounted file system (it may lack CAP_SYS_RESOURCE).
Result<void> grow_unmounted(const LabLayout& layout) {
  if (::umount2(layout.base().c_str(), 0) != 0)
    return fail_errno("unmount " + layout.base() + ", to give it more space", "stop the lab first: lab stop");
  auto grown = wait_unused(layout.disk_image());
  if (grown) {
    (void)run({.argv = {"e2fsck", "-f", "-p", layout.disk_image()}});  // what is wrong beyond repair, the next one says
    if (auto resized = run_checked({.argv = {"resize2fs", layout.disk_image()}}); !resized)
      grown = std::unexpected(std::move(resized).error());
  }
  LAB_CHECK(mount_image(layout));
  return grown;
}

Result<void> fit_image(const LabLayout& layout, std::uint64_t limit) {
  constexpr std::uint64_t kRounding = 1 << 20;
  if (limit == 0) return {};
  const std::uint64_t size = file_system_size(layout.disk_image());
  if (limit + kRounding < size)
    return fail(
        Code::kInvalid,
        "the disk of lab \"" + layout.profile + "\" has " + std::to_string(size >> 20) + " MiB and cannot shrink",
        "make the lab anew: lab delete, lab start --lab-disk SIZE");
  if (limit <= size + kRounding) return {};
  if (::truncate(layout.disk_image().c_str(), static_cast<off_t>(limit)) != 0)
    return fail_errno("size " + layout.disk_image());
  return grow_mounted(layout) ? Result<void>{} : grow_unmounted(layout);
}

}  // namespace

Result<void> make_storage(const LabLayout& layout, std::uint64_t limit_bytes) {
  LAB_CHECK(fs::make_dirs(layout.base(), 0711));
  const bool imaged = fs::exists(layout.disk_image());
  if (!imaged && (limit_bytes > 0 || on_overlay(layout.base())) && !is_mount_point(layout.base())) {
    LAB_TRY(auto there, fs::list_dir(layout.base()));
    if (!there.empty() && limit_bytes > 0)
      return fail(Code::kInvalid,
                  "lab \"" + layout.profile + "\" was made without a disk of its own, which cannot be limited",
                  "make the lab anew: lab delete, lab start --lab-disk SIZE");
    if (limit_bytes > 0 && limit_bytes < kSmallestImage)
      return fail(Code::kInvalid, "a lab does not fit into a disk of " + std::to_string(limit_bytes >> 20) + " MiB",
                  "a node needs about 200 MiB");
    LAB_CHECK(make_image(layout.disk_image(), limit_bytes > 0 ? limit_bytes : kImageSize));
  }
  if (fs::exists(layout.disk_image())) {
    LAB_CHECK(mount_image(layout));
    LAB_CHECK(fit_image(layout, limit_bytes));
  }
  return fs::make_dirs(layout.nodes());
}

StorageUse storage_use(const LabLayout& layout) {
  struct statfs st;
  if (!fs::exists(layout.disk_image()) || !is_mount_point(layout.base()) || ::statfs(layout.base().c_str(), &st) != 0)
    return {};
  const auto block = static_cast<std::uint64_t>(st.f_bsize);
  return {.used_bytes = (st.f_blocks - st.f_bfree) * block, .size_bytes = st.f_blocks * block};
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
