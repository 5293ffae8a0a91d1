// A deterministic simulation of many peers of the address ring in one process: the real RingPeer, and around it a
// network and disks that fail. One seed is one history; the same seed gives the same history on every machine.
//
// What happens in it: messages are delayed, reordered, doubled and lost, some arrive long after their sender died; the
// network splits and heals; peers crash (before and after a write to disk) and start again with what was saved; die for
// good; join, leave, come back with an empty disk; timers stall or fire many times at once; addresses are allocated and
// released all the time. Then everything heals, the dead are removed, and what must hold at the end is looked at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "overlay-net/ring/peer.h"

namespace lab::overlay::ring {

struct SimulationOptions {
  std::uint64_t seed = 1;
  bool trace = false;
  MergeFunction merge = ring::merge;
};

struct SimulationReport {
  std::string failure;             // "" when all held
  std::vector<std::string> trace;  // of the last events, when asked for
  int peers = 0;
  std::uint64_t events = 0, messages = 0, allocations = 0, refused = 0, removals = 0, crashes = 0, splits = 0;
  std::uint64_t most_tokens = 0;
  bool had_majority = false;  // of founders, at the end: only then are all promises checked
};

SimulationReport simulate(const SimulationOptions& options);

}  // namespace lab::overlay::ring
