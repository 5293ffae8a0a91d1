// Sandbox: network namespaces of one test, named after the process, all removed at the end whatever happened.
//
// A test binary runs as root. Traffic stays inside the namespaces made here.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/netlink/netlink.h"
#include "base/subprocess.h"

namespace lab::test {

class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // A new namespace with its loopback up.
  const NetNs& add(const std::string& name);
  const NetNs& ns(const std::string& name) const { return spaces_.at(name); }
  std::string path(const std::string& name) const;
  void remove(const std::string& name);
  // A device pair: `device` in `name` with this address, its other end a port of bridge `bridge` in `hub`.
  void plug(const std::string& name, const std::string& device, const std::string& address, const std::string& hub,
            const std::string& bridge);
  const std::string& directory() const { return directory_; }

  // Runs a command inside; fails the process by exception only when it cannot be started.
  Finished run(const std::string& name, std::vector<std::string> argv, int seconds = 30);
  // A shell line inside.
  Finished sh(const std::string& name, const std::string& line, int seconds = 30);
  // A process inside that goes on until the end of the test.
  pid_t background(const std::string& name, std::vector<std::string> argv);
  void stop(pid_t pid);
  std::vector<std::string> describe(const std::string& name);

 private:
  std::string directory_;
  std::map<std::string, NetNs> spaces_;
  std::vector<pid_t> children_;
};

// Waits until the condition holds; false after the limit.
bool eventually(const std::function<bool()>& condition, int seconds = 20);
// The value, or an exception with the error's text: for set-up.
template <class T>
T must(Result<T> r);
void must(Result<void> r);

[[noreturn]] void set_up_failed(const Error& error);
template <class T>
T must(Result<T> r) {
  if (!r) set_up_failed(r.error());
  return std::move(*r);
}

}  // namespace lab::test
