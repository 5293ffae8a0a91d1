#include "cli/groups.h"

namespace lab::cli {

Commands daemon_commands() {
  Commands out;
  for (auto group : {server_commands, agent_commands, overlay_commands})
    for (auto& command : group()) out.push_back(std::move(command));
  return out;
}

}  // namespace lab::cli
