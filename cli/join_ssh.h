// `lab join --ssh`: puts token, cluster and hosts together for join/ssh.
#pragma once

#include <vector>

#include "cli/command.h"

namespace lab::cli {

std::vector<Option> join_ssh_options();  // besides those of join
int join_over_ssh(const Invocation& in);

}  // namespace lab::cli
