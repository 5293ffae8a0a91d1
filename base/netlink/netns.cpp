#include "base/netlink/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/fs.h"

namespace lab {

NetNs::NetNs(int fd, std::string path)
    : fd_(new int(fd),
          [](const int* p) {
            ::close(*p);
            delete p;
          }),
      path_(std::move(path)) {}

Result<NetNs> NetNs::open(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    int err = errno;
    if (err == ENOENT) return fail(Code::kNotFound, "there is no network namespace at " + path);
    return fail_errno(err, "cannot open network namespace " + path);
  }
  return NetNs(fd, path);
}

Result<NetNs> NetNs::of_pid(pid_t pid) {
  return open("/proc/" + std::to_string(pid) + "/ns/net");
}

Result<NetNs> NetNs::current() {
  return open("/proc/thread-self/ns/net");
}

Result<NetNs> NetNs::create(const std::string& path) {
  auto slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) LAB_CHECK(fs::make_dirs(path.substr(0, slash)));
  int file = ::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (file < 0) {
    int err = errno;
    if (err == EEXIST) return fail(Code::kAlreadyExists, "network namespace " + path + " exists already");
    return fail_errno(err, "cannot create " + path);
  }
  ::close(file);
  int err = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0 || ::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr)) {
      err = errno;
    }
  }).join();
  if (err) {
    ::unlink(path.c_str());
    return fail_errno(err, "cannot make network namespace " + path, "this needs root (CAP_SYS_ADMIN)");
  }
  return open(path);
}

Result<void> NetNs::remove(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
    return fail_errno("cannot unmount network namespace " + path);
  }
  return fs::remove_file(path);
}

bool NetNs::same_as(const NetNs& other) const {
  struct stat a{}, b{};
  return ::fstat(fd(), &a) == 0 && ::fstat(other.fd(), &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

Result<void> run_in_netns(const NetNs& ns, const std::function<void()>& f) {
  int err = 0;
  std::exception_ptr thrown;
  std::thread([&] {
    if (::setns(ns.fd(), CLONE_NEWNET) != 0) {
      err = errno;
      return;
    }
    try {
      f();
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (err) return fail_errno(err, "cannot enter network namespace " + ns.path());
  if (thrown) std::rethrow_exception(thrown);
  return {};
}

}  // namespace lab
