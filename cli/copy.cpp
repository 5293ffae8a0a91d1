// lab cp: a file between this machine and a node, or two nodes.
//
// Paths in a node are looked up as the node sees them: its links never lead out into this machine's files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/fs.h"
#include "base/rooted.h"
#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

struct Fd {
  int fd = -1;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

// One side of the copy: a path as the person wrote it in `text`, in a node or on this machine.
struct Side {
  std::string text, node, path;
  std::optional<fs::Rooted> files;  // of the node

  Result<int> open() const {
    if (files) return files->open_file(path);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno("read " + text);
    return fd;
  }
  bool is_directory(const std::string& at) const {
    struct ::stat info{};
    return files ? files->is_directory(at) : ::stat(at.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }
};

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// NODE:PATH, or a path here. A colon behind a slash belongs to the path.
Result<Side> parse_side(bootstrap::NodeDriver& driver, const std::string& text) {
  Side out{.text = text, .node = {}, .path = text, .files = {}};
  auto colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return out;
  out.node = text.substr(0, colon);
  out.path = text.substr(colon + 1);
  if (!out.path.starts_with('/'))
    return fail(Code::kInvalid, "the path in \"" + text + "\" must begin with /",
                "as in: " + out.node + ":/root/" + out.path);
  LAB_TRY(auto root, driver.path_in(out.node, "/"));
  LAB_TRY(auto files, fs::Rooted::open(root));
  out.files.emplace(std::move(files));
  return out;
}

Result<void> copy_bytes(int from, int to, const Side& source, const Side& target) {
  std::string buffer(256 << 10, '\0');
  while (true) {
    auto got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read " + source.text);
    if (got == 0) return {};
    for (ssize_t done = 0; done < got;) {
      auto n = ::write(to, buffer.data() + done, static_cast<std::size_t>(got - done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("write " + target.text, "is there space left? df -h");
      done += n;
    }
  }
}

// Written beside its place and renamed: whoever reads there sees the old file or the whole new one.
Result<void> write_here(int from, const std::string& path, mode_t mode, const Side& source, const Side& target) {
  const std::string temporary = path.substr(0, path.size() - base_name(path).size()) + "." + base_name(path) + "." +
                                std::to_string(::getpid());
  Fd to{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (to.fd < 0) return fail_errno("write " + target.text, errno == ENOENT ? "make its directory first" : "");
  auto done = copy_bytes(from, to.fd, source, target);
  if (done && ::fchmod(to.fd, mode) != 0) done = fail_errno("set the mode of " + target.text);
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) done = fail_errno("write " + target.text);
  if (!done) ::unlink(temporary.c_str());
  return done;
}

Result<void> copy(const Side& source, const Side& target) {
  LAB_TRY(int fd, source.open());
  const Fd from{fd};
  struct ::stat info{};
  ::fstat(from.fd, &info);
  if (!S_ISREG(info.st_mode))
    return fail(Code::kInvalid, source.text + " is not a file",
                "a directory goes as one archive: tar -c DIR | lab shell NODE -- tar -x -C /TARGET");
  std::string path = target.path;
  if (path.ends_with('/') || target.is_directory(path)) path = fs::join(path, base_name(source.path));
  const mode_t mode = info.st_mode & 07777;
  if (!target.files) return write_here(from.fd, path, mode & 0777, source, target);  // nobody's setuid program
  if (!target.files->is_directory(path.substr(0, path.rfind('/') + 1)))
    return fail(Code::kNotFound, "there is no directory for " + target.text,
                "make it first: lab shell NODE -- mkdir -p DIR");
  return target.files->write_from(from.fd, path, mode);
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
