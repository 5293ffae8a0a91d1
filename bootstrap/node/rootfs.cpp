#include "bootstrap/node/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/fs.h"
#include "base/rooted.h"
#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
constexpr const char* kOptionalDevices[] = {"net/tun"};

Result<void> mount_at(const char* source, const std::string& target, const char* type, unsigned long flags,
                      const char* options) {
  LAB_CHECK(fs::make_dirs(target));
  if (::mount(source, target.c_str(), type, flags, options) != 0)
    return fail_errno("mount " + std::string(source) + " on " + target);
  return {};
}

// The root as it grows. What is mounted on is looked up inside: of the node's own files none leads anywhere else.
class Root {
 public:
  static Result<Root> open(const std::string& path, const RootOwner& owner) {
    LAB_TRY(auto inside, fs::Rooted::open(path));
    return Root(path, std::move(inside), owner);
  }

  // The machine's files, with their owners, read-only.
  Result<void> bind_host(const std::string& from, const std::string& to) const {
    return bind(from, to, {.recursive = true, .read_only = true});
  }
  // Files that a node holds, with the owners that they have in it.
  Result<void> bind_own(const std::string& from, const std::string& to, bool read_only = false) const {
    return bind(from, to,
                {.recursive = owner_.users.empty(), .read_only = read_only, .user_namespace = owner_.user_namespace});
  }
  const std::string& path() const { return path_; }

 private:
  Root(std::string path, fs::Rooted inside, const RootOwner& owner)
      : path_(std::move(path)), inside_(std::move(inside)), owner_(owner) {}

  Result<void> bind(const std::string& from, const std::string& to, const MountCopy& how) const {
    struct stat st;
    if (::stat(from.c_str(), &st) != 0) return fail_errno("look at " + from);
    if (S_ISDIR(st.st_mode)) LAB_CHECK(inside_.make_dirs(to));
    if (!S_ISDIR(st.st_mode) && !inside_.exists(to)) LAB_CHECK(inside_.write(to, ""));
    LAB_TRY(int place, inside_.open_path(to));
    auto copy = copy_mount(from, how);
    const bool moved =
        copy && ::move_mount(*copy, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
    const int err = errno;
    if (copy) ::close(*copy);
    ::close(place);
    if (!copy) return std::unexpected(std::move(copy).error());
    return moved ? Result<void>{} : fail_errno(err, "bind " + from + " to " + to + " of the node");
  }

  std::string path_;
  fs::Rooted inside_;
  RootOwner owner_;
};

// /usr, and what the host's root has as links into it (or, on a machine without merged /usr, as directories).
Result<void> mount_system(const Root& root) {
  LAB_CHECK(root.bind_host("/usr", "/usr"));
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const std::string host = fs::join("/", name);
    char target[PATH_MAX];
    ssize_t n = ::readlink(host.c_str(), target, sizeof target);
    if (n > 0) {
      LAB_CHECK(fs::symlink(std::string(target, static_cast<std::size_t>(n)), fs::join(root.path(), name)));
    } else if (fs::exists(host)) {
      LAB_CHECK(root.bind_host(host, host));
    }
  }
  return {};
}

// Image sets that this node shares with others (snapshot/image_store.h): its container storage has links into them.
Result<void> mount_images(const Root& root, const NodeLayout& layout) {
  const std::string names = fs::read_file(layout.images_file()).value_or("");
  for (std::size_t at = 0; at < names.size();) {
    const auto end = std::min(names.find('\n', at), names.size());
    const std::string name = names.substr(at, end - at), from = fs::join(kImagesDirectory, name);
    at = end + 1;
    if (!fs::exists(from))
      return fail(Code::kNotFound, "the images that this lab shares with others have gone: " + from,
                  "delete the lab and start it anew");
    LAB_CHECK(root.bind_own(from, fs::join(kNodeImages, name), true));
  }
  return {};
}

Result<void> mount_own(const Root& root, const NodeLayout& layout) {
  LAB_CHECK(root.bind_own(layout.etc(), "/etc"));
  LAB_CHECK(root.bind_own(layout.var(), "/var"));
  LAB_CHECK(root.bind_own(layout.opt(), "/opt"));
  LAB_CHECK(root.bind_own(layout.home(), "/home"));
  LAB_CHECK(root.bind_own(layout.root_home(), "/root"));
  for (const char* shared : {"/etc/ssl/certs", "/etc/alternatives"})
    if (fs::exists(shared)) LAB_CHECK(root.bind_host(shared, shared));
  LAB_CHECK(root.bind_host(fs::self_exe(), kNodeBinary));
  const std::string bundle = std::string(kNodeBinary).substr(0, std::string_view(kNodeBinary).rfind('/')) + "/share";
  if (fs::exists(bundle_directory())) LAB_CHECK(root.bind_host(bundle_directory(), bundle));
  return mount_images(root, layout);
}

// A device that everybody may open, whatever the machine's own one says; where devices cannot be made, that one itself.
Result<void> make_device(const std::string& name, const std::string& dev) {
  const std::string host = fs::join("/dev", name), path = fs::join(dev, name);
  struct stat st;
  if (::stat(host.c_str(), &st) != 0) return fail_errno("look at " + host);
  if (::mknod(path.c_str(), S_IFCHR | 0666, st.st_rdev) == 0) {
    if (::chmod(path.c_str(), 0666) != 0) return fail_errno("set the mode of " + path);  // whatever the umask
    return {};
  }
  LAB_CHECK(fs::write_file(path, ""));
  if (::mount(host.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return fail_errno("bind " + host + " to " + path);
  return {};
}

// Devices work in a file system only that was mounted by this machine's root.
Result<void> mount_devices(const std::string& root, const std::string& owned_by) {
  const std::string dev = fs::join(root, "dev");
  LAB_CHECK(mount_at("tmpfs", dev, "tmpfs", MS_NOSUID, ("mode=755,size=1m" + owned_by).c_str()));
  for (const char* name : kDevices) LAB_CHECK(make_device(name, dev));
  LAB_CHECK(fs::make_dirs(fs::join(dev, "net")));
  for (const char* name : kOptionalDevices)
    if (fs::exists(fs::join("/dev", name))) LAB_CHECK(make_device(name, dev));
  LAB_CHECK(fs::symlink("pts/ptmx", fs::join(dev, "ptmx")));
  LAB_CHECK(fs::symlink("/proc/self/fd", fs::join(dev, "fd")));
  LAB_CHECK(fs::symlink("/proc/self/fd/0", fs::join(dev, "stdin")));
  LAB_CHECK(fs::symlink("/proc/self/fd/1", fs::join(dev, "stdout")));
  return fs::symlink("/proc/self/fd/2", fs::join(dev, "stderr"));
}

Result<void> mount_own_devices(const std::string& dev) {
  LAB_CHECK(mount_at("devpts", fs::join(dev, "pts"), "devpts", MS_NOSUID | MS_NOEXEC,
                     "newinstance,ptmxmode=0666,mode=620,gid=5"));
  LAB_CHECK(mount_at("shm", fs::join(dev, "shm"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  return mount_at("mqueue", fs::join(dev, "mqueue"), "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
}

// The copy of a mount of a more privileged namespace cannot become the root or be taken apart; a copy of that one can.
Result<void> own_copy_of_working_directory() {
  const int copy = ::open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (copy < 0) return fail_errno("copy the root's mounts");
  const bool moved = ::move_mount(copy, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) == 0 && ::fchdir(copy) == 0;
  const int err = errno;
  ::close(copy);
  if (!moved) return fail_errno(err, "mount the copy of the root");
  return {};
}

}  // namespace

Result<void> assemble_root(const NodeLayout& layout, const RootOwner& owner) {
  const std::string root = layout.mount_point(), id = std::to_string(owner.users.first);
  const std::string owned_by = owner.users.empty() ? "" : ",uid=" + id + ",gid=" + id;
  LAB_CHECK(mount_at("tmpfs", root, "tmpfs", 0, ("mode=755,size=1m" + owned_by).c_str()));
  LAB_TRY(auto inside, Root::open(root, owner));
  LAB_CHECK(mount_system(inside));
  LAB_CHECK(mount_own(inside, layout));
  return mount_devices(root, owned_by);
}

Result<void> enter_root(const std::vector<Hierarchy>& host_cgroups) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail_errno("make mounts private");
  LAB_CHECK(own_copy_of_working_directory());
  for (const char* name : {"mnt", "srv", "media"}) LAB_CHECK(fs::make_dirs(fs::join(".", name)));
  LAB_CHECK(mount_own_devices("./dev"));
  // A user namespace may mount these two only while it still sees the machine's own.
  LAB_CHECK(mount_at("proc", "./proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
  LAB_CHECK(mount_at("sysfs", "./sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
  LAB_CHECK(mount_cgroups(".", host_cgroups));
  LAB_CHECK(mount_at("tmpfs", "./run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
  LAB_CHECK(mount_at("tmpfs", "./tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  // pivot_root(2): the old root is stacked on the new one and taken off, so that nothing of it stays reachable.
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno("make the node's root the root");
  if (::umount2(".", MNT_DETACH) != 0) return fail_errno("take the old root away");
  if (::chdir("/") != 0) return fail_errno("enter /");
  // Pods may ask for mounts that the node shall see.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0) return fail_errno("make mounts shared");
  return {};
}

}  // namespace lab::bootstrap
