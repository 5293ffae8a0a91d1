// One host: connect, look, copy, launch the join, follow it, wait until the node is Ready.
//
// Blocking; one thread a host. A connection that breaks is made anew with growing pauses, and the work goes on where it
// was: what has been copied stays, the join over there runs on by itself. A broken connection is no failure until the
// host has stayed away for `patience`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "join/ssh/bundle.h"
#include "join/ssh/facts.h"
#include "join/ssh/session.h"

namespace lab::join::ssh {

// What all hosts have in common.
struct JoinPlan {
  ConnectOptions connect;
  Person person;  // calls are made one at a time
  std::shared_ptr<const Bundle> bundle;
  std::string api_host;
  int api_port = 6443;
  std::vector<std::string> join_arguments;  // endpoint, token, pin, what else is passed on
  std::string cluster;                      // by what a host recognises a join into the same cluster
  std::string node_name;                    // empty: the host's own name
  bool install_missing = false;
  bool control_plane = false;  // the hosts become masters
  std::chrono::seconds patience{60};
  // Questions to the cluster; empty where it cannot be asked. Called from the hosts' threads.
  std::function<Result<void>(const std::string& node, const HostFacts& facts)> admit;
  std::function<Result<void>(const std::string& node, const std::function<void(const std::string&)>& on_state)>
      wait_ready;
};

struct HostResult {
  std::string host, node;
  bool joined = false;
  double seconds = 0;
  bool copied = false;  // false: it had the program already
  int reconnects = 0;
  int exit_code = 0;              // of the join over there
  std::string step, reason, fix;  // of a failure
};

HostResult join_host(const Target& target, const JoinPlan& plan,
                     const std::function<void(const std::string& state)>& on_state);

// What the log of a `lab join` says of its failure.
struct LogVerdict {
  std::string step, reason, fix;
};
LogVerdict read_log(std::string_view log);

}  // namespace lab::join::ssh
