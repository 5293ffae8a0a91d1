#include "cli/groups.h"

namespace lab::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> all = [] {
    Commands out;
    for (auto group : {lab_commands, life_commands, node_commands, logs_commands, copy_commands, image_commands, kubectl_commands,
                       app_commands, compose_commands, exercise_commands, play_commands, class_commands, net_commands, net_ring_commands, net_policy_commands, init_commands, reset_commands, vm_commands, token_commands, config_commands, certs_commands, rotate_ca_commands, rotate_sa_key_commands, upgrade_commands, store_commands, completion_commands,
                       version_commands, daemon_commands, internal_commands, terminal_commands, manual_commands})
      for (auto& command : group()) out.push_back(std::move(command));
    return out;
  }();
  return all;
}

}  // namespace lab::cli
