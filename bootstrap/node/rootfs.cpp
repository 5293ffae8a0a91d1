#include "bootstrap/node/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <climits>

#include "base/fs.h"
#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
constexpr const char* kOptionalDevices[] = {"fuse", "net/tun"};

Result<void> mount_at(const char* source, const std::string& target, const char* type, unsigned long flags, const char* options) {
  LAB_CHECK(fs::make_dirs(target));
  if (::mount(source, target.c_str(), type, flags, options) != 0) return fail_errno("mount " + std::string(source) + " on " + target);
  return {};
}

Result<void> bind(const std::string& from, const std::string& to, bool read_only) {
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) return fail_errno("bind " + from + " to " + to);
  if (read_only && ::mount(nullptr, to.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
    return fail_errno("make " + to + " read-only");
  return {};
}

Result<void> bind_dir(const std::string& from, const std::string& to, bool read_only = false) {
  LAB_CHECK(fs::make_dirs(to));
  return bind(from, to, read_only);
}

Result<void> bind_file(const std::string& from, const std::string& to, bool read_only = false) {
  if (!fs::exists(to)) LAB_CHECK(fs::write_file(to, ""));
  return bind(from, to, read_only);
}

// /usr, and what the host's root has as links into it (or, on a machine without merged /usr, as directories).
Result<void> mount_system(const std::string& root) {
  LAB_CHECK(bind_dir("/usr", fs::join(root, "usr"), true));
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const std::string host = fs::join("/", name), node = fs::join(root, name);
    char target[PATH_MAX];
    ssize_t n = ::readlink(host.c_str(), target, sizeof target);
    if (n > 0) {
      LAB_CHECK(fs::symlink(std::string(target, static_cast<std::size_t>(n)), node));
    } else if (fs::exists(host)) {
      LAB_CHECK(bind_dir(host, node, true));
    }
  }
  return {};
}

Result<void> mount_own(const std::string& root, const NodeLayout& layout) {
  LAB_CHECK(bind_dir(layout.etc(), fs::join(root, "etc")));
  LAB_CHECK(bind_dir(layout.var(), fs::join(root, "var")));
  LAB_CHECK(bind_dir(layout.opt(), fs::join(root, "opt")));
  LAB_CHECK(bind_dir(layout.home(), fs::join(root, "home")));
  LAB_CHECK(bind_dir(layout.root_home(), fs::join(root, "root")));
  for (const char* name : {"mnt", "srv", "media"}) LAB_CHECK(fs::make_dirs(fs::join(root, name)));
  for (const char* shared : {"/etc/ssl/certs", "/etc/alternatives"})
    if (fs::exists(shared)) LAB_CHECK(bind_dir(shared, root + shared, true));
  const std::string bin = fs::join(root, "opt/lab/bin");
  LAB_CHECK(bind_file(fs::self_exe(), fs::join(bin, "lab"), true));
  if (fs::exists(bundle_directory())) LAB_CHECK(bind_dir(bundle_directory(), fs::join(bin, "share"), true));
  return {};
}

Result<void> mount_devices(const std::string& root) {
  const std::string dev = fs::join(root, "dev");
  LAB_CHECK(mount_at("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755,size=1m"));
  for (const char* name : kDevices) LAB_CHECK(bind_file(fs::join("/dev", name), fs::join(dev, name)));
  LAB_CHECK(fs::make_dirs(fs::join(dev, "net")));
  for (const char* name : kOptionalDevices)
    if (fs::exists(fs::join("/dev", name))) LAB_CHECK(bind_file(fs::join("/dev", name), fs::join(dev, name)));
  LAB_CHECK(mount_at("devpts", fs::join(dev, "pts"), "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"));
  LAB_CHECK(mount_at("shm", fs::join(dev, "shm"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  LAB_CHECK(mount_at("mqueue", fs::join(dev, "mqueue"), "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
  LAB_CHECK(fs::symlink("pts/ptmx", fs::join(dev, "ptmx")));
  LAB_CHECK(fs::symlink("/proc/self/fd", fs::join(dev, "fd")));
  LAB_CHECK(fs::symlink("/proc/self/fd/0", fs::join(dev, "stdin")));
  LAB_CHECK(fs::symlink("/proc/self/fd/1", fs::join(dev, "stdout")));
  return fs::symlink("/proc/self/fd/2", fs::join(dev, "stderr"));
}

}  // namespace

Result<void> enter_root(const NodeLayout& layout, const std::vector<Hierarchy>& host_cgroups) {
  const std::string root = layout.mount_point();
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail_errno("make mounts private");
  LAB_CHECK(mount_at("tmpfs", root, "tmpfs", 0, "mode=755,size=1m"));
  LAB_CHECK(mount_system(root));
  LAB_CHECK(mount_own(root, layout));
  LAB_CHECK(mount_devices(root));
  LAB_CHECK(mount_at("proc", fs::join(root, "proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
  LAB_CHECK(mount_at("sysfs", fs::join(root, "sys"), "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
  LAB_CHECK(mount_cgroups(root, host_cgroups));
  LAB_CHECK(mount_at("tmpfs", fs::join(root, "run"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
  LAB_CHECK(mount_at("tmpfs", fs::join(root, "tmp"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  // pivot_root(2): the old root is stacked on the new one and taken off, so that nothing of it stays reachable.
  if (::chdir(root.c_str()) != 0) return fail_errno("enter " + root);
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno("make " + root + " the root");
  if (::umount2(".", MNT_DETACH) != 0) return fail_errno("take the old root away");
  if (::chdir("/") != 0) return fail_errno("enter /");
  // Pods may ask for mounts that the node shall see.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0) return fail_errno("make mounts shared");
  return {};
}

}  // namespace lab::bootstrap
