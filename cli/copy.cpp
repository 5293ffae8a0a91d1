// lab cp: a file between this machine and a node, or two nodes.
//
// Paths in a node are looked up as the node sees them: its links never lead out into this machine's files.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

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
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

// One side of the copy: a path below a root, as the person wrote it in `text`.
struct Side {
  std::string text, node, path;
  Fd root;  // of the node; none: this machine

  Fd open(const std::string& at, int flags) const {
    if (!root.ok()) return Fd(::open(at.c_str(), flags | O_CLOEXEC));
    ::open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return Fd(static_cast<int>(::syscall(SYS_openat2, root.get(), at.c_str(), &how, sizeof how)));
  }
};

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// NODE:PATH, or a path here. A colon behind a slash belongs to the path.
Result<Side> parse_side(bootstrap::NodeDriver& driver, const std::string& text) {
  Side out{.text = text, .node = {}, .path = text, .root = Fd()};
  auto colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return out;
  out.node = text.substr(0, colon);
  out.path = text.substr(colon + 1);
  if (!out.path.starts_with('/'))
    return fail(Code::kInvalid, "the path in \"" + text + "\" must begin with /",
                "as in: " + out.node + ":/root/" + out.path);
  LAB_TRY(auto root, driver.path_in(out.node, "/"));
  out.root = Fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!out.root.ok()) return fail_errno("open the root directory of node " + out.node);
  return out;
}

Result<void> write_all(int fd, const char* data, std::size_t size, const std::string& what) {
  while (size > 0) {
    auto n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write " + what, "is there space left? df -h");
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

Result<void> copy_bytes(int from, int to, const Side& source, const Side& target) {
  std::string buffer(256 << 10, '\0');
  while (true) {
    auto got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read " + source.text);
    if (got == 0) return {};
    LAB_CHECK(write_all(to, buffer.data(), static_cast<std::size_t>(got), target.text));
  }
}

// Written beside its place and renamed: whoever reads there sees the old file or the whole new one.
Result<void> copy(const Side& source, const Side& target) {
  Fd from = source.open(source.path, O_RDONLY);
  if (!from.ok()) return fail_errno("read " + source.text);
  struct ::stat info{};
  ::fstat(from.get(), &info);
  if (!S_ISREG(info.st_mode))
    return fail(Code::kInvalid, source.text + " is not a file",
                "a directory goes as one archive: tar -c DIR | lab shell NODE -- tar -x -C /TARGET");
  std::string path = target.path;
  if (path.ends_with('/') || target.open(path, O_PATH | O_DIRECTORY).ok())
    path = fs::join(path, base_name(source.path));
  const std::string name = base_name(path), temporary = "." + name + "." + std::to_string(::getpid());
  std::string parent = path.substr(0, path.size() - name.size());
  if (parent.empty()) parent = ".";
  Fd directory = target.open(parent, O_PATH | O_DIRECTORY);
  if (!directory.ok())
    return fail_errno("open the directory of " + target.text, "make it first: lab shell NODE -- mkdir -p DIR");
  Fd to(::openat(directory.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to.ok()) return fail_errno("write " + target.text);
  auto done = copy_bytes(from.get(), to.get(), source, target);
  if (done && ::fchmod(to.get(), info.st_mode & 07777) != 0) done = fail_errno("set the mode of " + target.text);
  if (done && ::renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) != 0)
    done = fail_errno("write " + target.text);
  if (!done) ::unlinkat(directory.get(), temporary.c_str(), 0);
  return done;
}

Result<void> cp(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  LAB_TRY(auto source, parse_side(*driver, in.argument(0)));
  LAB_TRY(auto target, parse_side(*driver, in.argument(1)));
  if (source.node.empty() && target.node.empty())
    return fail(Code::kInvalid, "neither \"" + source.text + "\" nor \"" + target.text + "\" names a node",
                "write it as NODE:PATH, as in: lab cp app.yaml node1:/root/");
  return copy(source, target);
}

}  // namespace

Commands copy_commands() {
  return {{.path = "cp",
           .summary = "Copy a file into a node, out of it, or between nodes",
           .details = "As in: lab cp app.yaml node1:/root/\nlab cp node2:/var/log/lab/lab-agent.log .",
           .arguments = {{"SOURCE", "a path, or NODE:PATH"},
                         {"TARGET", "a path, or NODE:PATH; a directory keeps the name"}},
           .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"}},
           .run = [](const Invocation& in) { return finish(cp(in)); }}};
}

}  // namespace lab::cli
