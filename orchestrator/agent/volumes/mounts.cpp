#include "orchestrator/agent/volumes/mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>

#include "base/fs.h"

namespace lab::agent {

namespace {

struct Fd {
  int fd = -1;
  explicit Fd(int f) : fd(f) {}
  Fd(Fd&& o) noexcept : fd(std::exchange(o.fd, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    std::swap(fd, o.fd);
    return *this;
  }
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

// Mount points as the kernel lists them, with its octal escapes undone.
std::vector<std::string> mount_points() {
  std::vector<std::string> out;
  std::istringstream lines(fs::read_file("/proc/self/mountinfo").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string skip, path, plain;
    fields >> skip >> skip >> skip >> skip >> path;
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (path[i] == '\\' && i + 3 < path.size()) {
        plain += static_cast<char>(std::stoi(path.substr(i + 1, 3), nullptr, 8));
        i += 3;
      } else {
        plain += path[i];
      }
    }
    out.push_back(std::move(plain));
  }
  return out;
}

int open_in_root(int root, const char* path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
}

// Opens SUB below the root as a path descriptor; directories that are missing are made.
Result<Fd> open_sub(int root, const std::string& sub) {
  if (int fd = open_in_root(root, sub.c_str(), O_PATH); fd >= 0) return Fd(fd);
  if (errno != ENOENT) return fail_errno("open subPath " + sub);
  Fd at(open_in_root(root, ".", O_PATH));
  std::string walked;
  for (const auto& part : std::filesystem::path(sub)) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return fail(Code::kInvalid, "subPath " + sub + " must not contain '..'");
    walked += (walked.empty() ? "" : "/") + part.string();
    if (::mkdirat(at.fd, part.c_str(), 0750) != 0 && errno != EEXIST) return fail_errno("make subPath " + walked);
    Fd next(open_in_root(root, walked.c_str(), O_PATH));
    if (next.fd < 0) return fail_errno("open subPath " + walked);
    at = std::move(next);
  }
  return std::move(at);
}

}  // namespace

bool is_mount_point(const std::string& path) {
  auto all = mount_points();
  return std::ranges::find(all, path) != all.end();
}

Result<void> mount_tmpfs(const std::string& path, std::int64_t size) {
  LAB_CHECK(fs::make_dirs(path, 0755));
  if (is_mount_point(path)) return {};
  std::string options = "mode=0777";
  if (size > 0) options += ",size=" + std::to_string(size);
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    return fail_errno("mount a tmpfs on " + path);
  return {};
}

Result<void> bind_subpath(const std::string& volume, const std::string& sub, const std::string& target) {
  Fd root(::open(volume.c_str(), O_PATH | O_CLOEXEC));
  if (root.fd < 0) return fail_errno("open volume " + volume);
  LAB_TRY(auto source, open_sub(root.fd, sub));
  struct stat st{};
  if (::fstat(source.fd, &st) != 0) return fail_errno("look at subPath " + sub);
  if (is_mount_point(target)) {  // from an earlier container of the pod: it may show a file that was replaced
    if (::umount2(target.c_str(), MNT_DETACH) != 0) return fail_errno("unmount " + target);
  }
  LAB_CHECK(fs::make_dirs(std::filesystem::path(target).parent_path().string(), 0750));
  if (S_ISDIR(st.st_mode)) {
    LAB_CHECK(fs::make_dirs(target, 0750));
  } else if (!fs::exists(target)) {
    LAB_CHECK(fs::write_file(target, "", 0640));
  }
  std::string by_fd = "/proc/self/fd/" + std::to_string(source.fd);
  if (::mount(by_fd.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return fail_errno("bind subPath " + sub + " of " + volume + " on " + target);
  return {};
}

Result<void> unmount_below(const std::string& dir) {
  for (int round = 0; round < 8; ++round) {  // mounts may be stacked
    std::vector<std::string> below;
    for (auto& m : mount_points())
      if (m == dir || m.starts_with(dir + "/")) below.push_back(m);
    if (below.empty()) return {};
    std::ranges::sort(below, [](const auto& a, const auto& b) { return a.size() > b.size(); });
    for (const auto& m : below)
      if (::umount2(m.c_str(), UMOUNT_NOFOLLOW) != 0 && ::umount2(m.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0)
        return fail_errno("unmount " + m);
  }
  return fail(Code::kInternal, "mounts below " + dir + " keep coming back");
}

}  // namespace lab::agent
