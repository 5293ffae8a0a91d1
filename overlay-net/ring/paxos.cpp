#include "overlay-net/ring/paxos.h"

#include <algorithm>

namespace lab::overlay::ring {
namespace {

// What a proposer may ask for once a majority has promised: the value of the highest ballot among those that promised,
// or, if they accepted nothing yet, its own wish: all founders it has heard of.
std::optional<std::uint64_t> value_to_propose(const RingState& state, const Ballot& ballot) {
  std::size_t promised = 0;
  std::uint64_t heard = 0;
  const Vote* highest = nullptr;
  for (std::size_t i = 0; i < state.votes.size(); ++i) {
    const auto& v = state.votes[i];
    if (v.promised.round) heard |= 1ull << i;
    if (v.promised != ballot) continue;
    ++promised;
    if (v.accepted.round && (!highest || v.accepted > highest->accepted)) highest = &v;
  }
  if (promised < state.quorum()) return std::nullopt;
  return highest ? highest->value : heard;
}

}  // namespace

void propose(RingState& state, std::uint32_t seat) {
  std::uint32_t round = 0;
  for (const auto& v : state.votes) round = std::max(round, v.promised.round);
  state.votes[seat].promised = {round + 1, seat};
}

bool think(RingState& state, std::uint32_t seat) {
  auto before = state.votes[seat];
  auto& mine = state.votes[seat];
  for (const auto& v : state.votes) mine.promised = std::max(mine.promised, v.promised);
  if (mine.promised.round && mine.promised.founder == seat && mine.accepted < mine.promised) {
    if (auto value = value_to_propose(state, mine.promised)) {
      mine.accepted = mine.promised;
      mine.value = *value;
    }
  }
  for (const auto& v : state.votes) {
    if (!v.accepted.round || v.accepted < mine.promised || v.accepted <= mine.accepted) continue;
    mine.accepted = v.accepted;
    mine.value = v.value;
  }
  return mine != before;
}

std::optional<std::uint64_t> decided(const RingState& state) {
  for (const auto& v : state.votes) {
    if (!v.accepted.round) continue;
    auto same = std::ranges::count(state.votes, v.accepted, &Vote::accepted);
    if (static_cast<std::size_t>(same) >= state.quorum()) return v.value;
  }
  return std::nullopt;
}

}  // namespace lab::overlay::ring
