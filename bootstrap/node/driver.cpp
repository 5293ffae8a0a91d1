#include "bootstrap/node/driver.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/rooted.h"
#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

// For drivers whose nodes' files have a path on this machine. The nodes' people may put links and other traps there.

namespace {

Result<fs::Rooted> files_of(NodeDriver& driver, const std::string& name) {
  LAB_TRY(auto root, driver.path_in(name, "/"));
  return fs::Rooted::open(root);
}

}  // namespace

Result<std::string> NodeDriver::read_file(const std::string& name, const std::string& path) {
  LAB_TRY(auto files, files_of(*this, name));
  return files.read(path);
}

Result<void> NodeDriver::write_file(const std::string& name, const std::string& path, const std::string& content) {
  LAB_TRY(auto files, files_of(*this, name));
  return files.write(path, content);
}

Result<void> NodeDriver::remove_file(const std::string& name, const std::string& path) {
  LAB_TRY(auto files, files_of(*this, name));
  return files.remove_file(path);
}

Result<void> NodeDriver::copy_in(const std::string& name, const std::string& from, const std::string& to) {
  const int source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (source < 0) return fail_errno("open " + from);
  auto files = files_of(*this, name);
  auto done = files ? files->write_from(source, to) : Result<void>(std::unexpected(std::move(files).error()));
  ::close(source);
  return done;
}

Result<void> NodeDriver::runtime_answers(const std::string& name) {
  LAB_TRY(auto socket, path_in(name, kContainerdSocket));
  if (socket_answers(socket)) return {};
  return fail(Code::kUnavailable, "its socket does not answer yet");
}

}  // namespace lab::bootstrap
