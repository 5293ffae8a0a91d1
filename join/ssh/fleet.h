// Many hosts at a time: each has one line while it works; a table at the end.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "join/ssh/host_join.h"

namespace lab::join::ssh {

// Joins all, at most `parallel` at the same time; the results are in the hosts' order. Of two hosts that go by one name
// in the same run, the second is refused. Progress goes to standard output: on a terminal one line a host, rewritten in
// place; elsewhere a line for each new step, which begins with the host.
std::vector<HostResult> join_fleet(const std::vector<Target>& targets, JoinPlan plan, int parallel);

// HOST NODE RESULT SECONDS REASON, then what to do for each that failed, then how many joined and how long it took.
std::string fleet_table(const std::vector<HostResult>& results, double seconds);

}  // namespace lab::join::ssh
