// Child processes as values: what to run, in what environment, and what came of it. Blocking; use a Pool from coroutines.
//
// Arguments are passed as they are: no shell is involved. Standard output and error are read at the same time, so a
// chatty child never blocks. Descriptors above 2 are closed in the child.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace lab {

struct Command {
  std::vector<std::string> argv;   // argv[0] is looked up in PATH when it has no slash
  std::vector<std::pair<std::string, std::string>> env;   // added to this process's environment
  std::string stdin_text;
  std::string directory;
  std::chrono::milliseconds timeout{0};   // 0: none. On expiry the child gets SIGKILL and the result is kTimeout
  bool merge_stderr = false;              // stderr into stdout, in order
};

struct Finished {
  int exit_code = 0;      // 128 + signal when it was killed
  std::string out, err;
  bool ok() const { return exit_code == 0; }
};

// An error only when the child could not be run or timed out; look at exit_code for its own verdict.
Result<Finished> run(Command command);
// The same, with a non-zero exit as an error that carries the end of its stderr. Returns stdout.
Result<std::string> run_checked(Command command);

// A child that goes on by itself: own session, output appended to log_path (or /dev/null).
struct Daemon {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> env;
  std::string log_path;
  std::string directory;
};
Result<pid_t> spawn_daemon(const Daemon& daemon);

// True when the pid exists and is no zombie.
bool process_alive(pid_t pid);
std::optional<std::string> find_in_path(const std::string& program);

}  // namespace lab
