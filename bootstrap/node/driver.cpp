#include "bootstrap/node/driver.h"

#include "base/fs.h"
#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

// For drivers whose nodes' files have a path on this machine.

Result<std::string> NodeDriver::read_file(const std::string& name, const std::string& path) {
  LAB_TRY(auto inside, path_in(name, path));
  return fs::read_file(inside);
}

Result<void> NodeDriver::write_file(const std::string& name, const std::string& path, const std::string& content) {
  LAB_TRY(auto inside, path_in(name, path));
  LAB_CHECK(fs::make_dirs(inside.substr(0, inside.rfind('/'))));
  return fs::write_file(inside, content);
}

Result<void> NodeDriver::remove_file(const std::string& name, const std::string& path) {
  LAB_TRY(auto inside, path_in(name, path));
  return fs::remove_file(inside);
}

Result<void> NodeDriver::copy_in(const std::string& name, const std::string& from, const std::string& to) {
  LAB_TRY(auto inside, path_in(name, to));
  return fs::copy_file(from, inside);
}

Result<void> NodeDriver::runtime_answers(const std::string& name) {
  LAB_TRY(auto socket, path_in(name, kContainerdSocket));
  if (socket_answers(socket)) return {};
  return fail(Code::kUnavailable, "its socket does not answer yet");
}

}  // namespace lab::bootstrap
