// `lab join --ssh`: puts token, cluster and hosts together for join/ssh.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "join/ssh/session.h"

namespace lab::cli {

std::vector<Option> join_ssh_options();  // besides those of join
int join_over_ssh(const Invocation& in);

struct SshHosts {
  std::vector<join::ssh::Target> targets;
  join::ssh::ConnectOptions connect;
  bool person = true;   // false: nobody is asked
};
// Joins hosts, and prints their table; the exit code. `hosts` is called when it is sure that there is a cluster for them: it
// may take its time, and make them. `endpoint` is empty, or goes with --token.
Result<int> join_hosts(const std::function<Result<SshHosts>()>& hosts, const std::string& endpoint, const Invocation& in);
// kInvalid names an option that tells one machine's own facts.
Result<void> check_remote_options(const Invocation& in, const std::string& way);

}  // namespace lab::cli
