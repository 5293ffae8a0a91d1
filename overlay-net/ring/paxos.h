// Agreement on the first ring among founders that start at once: Paxos (Lamport, "Paxos Made Simple", 2001), with the
// acceptors' states gossiped instead of messages sent. Any majority of the founders that can talk comes to a decision;
// two decisions are never different. What is decided: which founders share the range at first.
//
// A founder edits its own vote only, and its vote must be durable before anybody hears of it.
#pragma once

#include <optional>

#include "overlay-net/ring/state.h"

namespace lab::overlay::ring {

// A new proposal of founder `seat`, above all known ones.
void propose(RingState& state, std::uint32_t seat);
// Promises, asks to accept and accepts, as the known votes allow. True when that changed the vote of `seat`.
bool think(RingState& state, std::uint32_t seat);
// The value that a majority accepted.
std::optional<std::uint64_t> decided(const RingState& state);

}  // namespace lab::overlay::ring
