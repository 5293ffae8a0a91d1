// The keeper of a lab's terminals, and how it brings a shell into a node: commands that lab runs itself.
#include "labs/terminal/daemon.h"

#include <cstdlib>

#include "cli/groups.h"
#include "cli/report.h"
#include "labs/terminal/shell.h"

namespace lab::cli {

namespace {

int terminal_shell(const Invocation& in) {
  const int cols = std::atoi(in.argument(2).c_str()), rows = std::atoi(in.argument(3).c_str());
  return finish(terminal::run_terminal_shell(in.argument(0), in.argument(1), cols, rows));
}

}  // namespace

Commands terminal_commands() {
  return {
      {.path = "terminals",
       .summary = "Keep the terminals of a lab, in the background",
       .arguments = {{"PROFILE", "which lab"}},
       .run = [](const Invocation& in) { return finish(terminal::start_keeper(in.argument(0))); },
       .hidden = true},
      {.path = "terminal-shell",
       .summary = "Start a shell in a node, on a new terminal that is handed over on descriptor 3",
       .arguments = {{"PROFILE", "which lab"}, {"NODE", "of its nodes"}, {"COLS", "columns"}, {"ROWS", "rows"}},
       .run = terminal_shell,
       .hidden = true},
  };
}

}  // namespace lab::cli
