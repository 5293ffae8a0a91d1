// A shell in a node of a lab, on a terminal of the node's own.
//
// `lab terminal-shell` goes into the node (namespaces, cgroups), takes a terminal from the node's devpts, starts the
// shell as a child of the keeper, hands the terminal's master back and ends: so `tty`, job control and multiplexers
// work in the node as on any machine, the shell counts as one of the node's processes, and no process stands between it
// and the keeper. Where nodes are machines (libvirt), the terminal is this machine's and `lab shell` runs on it.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/io/listener.h"
#include "base/io/task.h"
#include "base/result.h"

namespace lab::terminal {

struct Shell {
  OwnedFd master;
  pid_t pid = 0;  // a child of this process, which must wait for it
};

// In the keeper, on its loop. NotFound, Unavailable: see client.h.
Task<Result<Shell>> start_shell(std::string profile, std::string node, int cols, int rows);

// What `lab terminal-shell` does: answers on descriptor kAnswer. Blocking.
inline constexpr int kAnswer = 3;
Result<void> run_terminal_shell(const std::string& profile, const std::string& node, int cols, int rows);

// Waits, on the current loop, until a child of this process has ended: its exit code, or 128 + signal.
Task<int> wait_exit(pid_t child);

}  // namespace lab::terminal
