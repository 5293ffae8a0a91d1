// Network namespaces: handles on them, and running code inside them.
//
// A namespace is entered on a thread of its own, never on the caller's, so that a loop's thread always stays where it
// was. Sockets opened inside (see Netlink::open_in) stay in the namespace when used from outside.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "base/result.h"

namespace lab {

// An open namespace; lives on while a handle is open. Copies share the descriptor.
class NetNs {
 public:
  static Result<NetNs> open(const std::string& path);  // /run/netns/NAME, /proc/PID/ns/net
  static Result<NetNs> of_pid(pid_t pid);
  static Result<NetNs> current();  // the calling thread's
  // Makes a new namespace and mounts it on PATH, which is created; kAlreadyExists when something is there.
  static Result<NetNs> create(const std::string& path);
  // Unmounts and removes PATH; absent is fine. Processes and handles inside keep the namespace itself alive.
  static Result<void> remove(const std::string& path);

  int fd() const { return *fd_; }
  bool same_as(const NetNs& other) const;
  const std::string& path() const { return path_; }

 private:
  NetNs(int fd, std::string path);
  std::shared_ptr<const int> fd_;
  std::string path_;
};

// Runs f on a new thread inside the namespace and waits for it. An error only when the namespace cannot be entered.
Result<void> run_in_netns(const NetNs& ns, const std::function<void()>& f);

// The same for a function that returns a Result.
template <class F, class R = std::invoke_result_t<F>>
R in_netns(const NetNs& ns, F f) {
  std::optional<R> out;
  if (auto entered = run_in_netns(ns, [&] { out.emplace(f()); }); !entered) {
    return std::unexpected(std::move(entered).error());
  }
  return std::move(*out);
}

}  // namespace lab
