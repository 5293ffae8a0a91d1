// Session: one authenticated SSH connection. The seam to libssh: nothing else of that library is seen outside
// libssh.cpp.
//
// Blocking; one thread at a time. A connection that breaks or falls silent is an error of code kUnavailable: connect
// again and go on. Dead peers are noticed within about 20 s.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "join/ssh/target.h"

namespace lab::join::ssh {

// What only a person can answer. Calls come from one thread at a time. Where nobody is there, both are empty.
struct Person {
  std::function<bool(const std::string& question)> confirm;
  std::function<std::optional<std::string>(const std::string& prompt)> secret;  // typed without echo
};

struct ConnectOptions {
  std::string known_hosts;  // a file; it is made when a first key is remembered
  bool accept_new_host_keys = false;
  std::string identity;  // private key file; empty: ~/.ssh's own
  bool agent = true;     // $SSH_AUTH_SOCK, where there is one
  std::optional<std::string> password;
  std::chrono::seconds timeout{10};
};

struct Execution {
  std::vector<std::string_view> input;              // fed to its standard input, part by part
  std::function<void(std::string_view)> on_output;  // as it comes; otherwise it is collected
  std::function<void(std::size_t sent)> on_sent;
  std::chrono::seconds limit{0};  // 0: none; then kTimeout
};
struct Executed {
  int exit_code = 0;   // -1: ended by a signal
  std::string output;  // its standard output
};

class Session {
 public:
  // Connects, checks the host key, and logs in. kUnavailable: nobody answers. kUnauthorized: the host key or the login
  // was refused.
  static Result<std::unique_ptr<Session>> open(const Target& target, const ConnectOptions& options,
                                               const Person& person);
  virtual ~Session() = default;
  virtual Result<Executed> execute(const std::string& command, const Execution& execution = {}) = 0;
};

}  // namespace lab::join::ssh
