// A pseudo-terminal (pty(7)), and a program on it: leader of a session of its own whose controlling terminal it is, so
// that job control, Ctrl-C and the hang-up at its end work as on any other. Blocking.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/io/listener.h"
#include "base/result.h"

namespace lab::terminal {

struct Pty {
  OwnedFd master, slave;
};
// Of the devpts in this process's /dev/pts: there it has its name. Closed on exec.
Result<Pty> open_pty(int cols, int rows);
Result<void> set_size(int master, int cols, int rows);
// Whether it is a pty's master at all. What comes out of a node may be anything.
bool is_master(int fd);

struct Program {
  std::vector<std::string> argv;  // argv[0] is looked up in the PATH of env
  std::map<std::string, std::string> env;
};
enum class ChildOf {
  kThis,    // of this process
  kParent,  // of its parent, which learns of its end: this process may end at once (CLONE_PARENT)
};
// A program that cannot be run says so on its terminal, and ends with 127 or 126.
Result<pid_t> run_on(const Pty& pty, const Program& program, ChildOf whose);

}  // namespace lab::terminal
