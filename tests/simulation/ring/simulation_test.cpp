#include "tests/simulation/ring/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

namespace lab::overlay::ring {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : fallback;
}

struct Total {
  SimulationReport sum;
  std::map<std::uint64_t, std::string> failures;  // by seed
  std::uint64_t with_majority = 0;
  int most_peers = 0;
};

// `enough`: stops after so many failures.
Total run_seeds(std::uint64_t from, std::uint64_t count, MergeFunction merge, std::size_t enough) {
  Total total;
  std::mutex mutex;
  std::atomic<std::uint64_t> next{from};
  std::atomic<bool> stop{false};
  auto work = [&] {
    for (std::uint64_t seed; !stop && (seed = next++) < from + count;) {
      auto r = simulate({.seed = seed, .merge = merge});
      std::lock_guard lock(mutex);
      total.sum.events += r.events;
      total.sum.messages += r.messages;
      total.sum.allocations += r.allocations;
      total.sum.refused += r.refused;
      total.sum.removals += r.removals;
      total.sum.crashes += r.crashes;
      total.sum.splits += r.splits;
      total.with_majority += r.had_majority;
      total.most_peers = std::max(total.most_peers, r.peers);
      if (!r.failure.empty()) total.failures[seed] = r.failure;
      if (total.failures.size() >= enough) stop = true;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::min(8u, std::thread::hardware_concurrency())); ++i)
    threads.emplace_back(work);
  for (auto& t : threads) t.join();
  return total;
}

void print_trace(std::uint64_t seed) {
  auto again = simulate({.seed = seed, .trace = true});
  std::size_t shown = std::min<std::size_t>(again.trace.size(), number_from("LAB_TRACE", 200));
  for (std::size_t i = again.trace.size() - shown; i < again.trace.size(); ++i)
    std::printf("%s\n", again.trace[i].c_str());
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), again.failure.c_str());
}

TEST(RingSimulation, NoAddressTwiceNoSpaceLost) {
  if (auto seed = number_from("LAB_SEED", 0)) {
    auto r = simulate({.seed = seed});
    print_trace(seed);
    EXPECT_EQ(r.failure, "");
    return;
  }
  auto seeds = number_from("LAB_SEEDS", 300);
  auto total = run_seeds(1, seeds, merge, 5);
  std::printf(
      "%llu seeds, up to %d peers: %llu events, %llu messages, %llu addresses given, %llu refused, %llu removals, "
      "%llu crashes, %llu splits; %llu kept a majority of founders\n",
      static_cast<unsigned long long>(seeds), total.most_peers, static_cast<unsigned long long>(total.sum.events),
      static_cast<unsigned long long>(total.sum.messages), static_cast<unsigned long long>(total.sum.allocations),
      static_cast<unsigned long long>(total.sum.refused), static_cast<unsigned long long>(total.sum.removals),
      static_cast<unsigned long long>(total.sum.crashes), static_cast<unsigned long long>(total.sum.splits),
      static_cast<unsigned long long>(total.with_majority));
  for (const auto& [seed, failure] : total.failures) ADD_FAILURE() << "seed " << seed << ": " << failure;
  if (!total.failures.empty()) {
    print_trace(total.failures.begin()->first);
    return;
  }
  // A simulation in which nothing happens proves nothing.
  EXPECT_GT(total.sum.allocations, seeds * 20);
  EXPECT_GT(total.sum.removals, seeds);
  EXPECT_GT(total.sum.crashes, seeds);
  EXPECT_GT(total.sum.splits, seeds);
  EXPECT_GT(total.with_majority, seeds / 2);
  EXPECT_GT(total.most_peers, 150);
}

TEST(RingSimulation, TheSameSeedIsTheSameHistory) {
  for (std::uint64_t seed : {3, 11, 26}) {
    auto a = simulate({.seed = seed, .trace = true}), b = simulate({.seed = seed, .trace = true});
    EXPECT_EQ(a.trace, b.trace);
    EXPECT_EQ(a.events, b.events);
  }
}

// The checker itself: with each of these mistakes in merge() it must find a history that breaks a promise.

// Of two owners of a token the larger name wins, whatever the versions say.
Result<Merged> ignores_versions(const RingState& mine, const RingState& theirs, const MemberId& me) {
  RingState changed = theirs;
  for (auto& t : changed.tokens) {
    auto own = std::ranges::find(mine.tokens, t.start, &Token::start);
    if (own != mine.tokens.end() && own->owner > t.owner) t = *own;
  }
  auto out = merge(mine, changed, me);
  if (out) return out;
  Merged forced{.state = mine, .news = true};
  forced.state.tokens = changed.tokens;
  return forced;
}

// What was on its way from a removed peer is believed.
Result<Merged> believes_the_dead(const RingState& mine, const RingState& theirs, const MemberId& me) {
  RingState changed = theirs;
  if (changed.has_ring()) {
    for (const auto& r : mine.removals) {
      if (!changed.removed(r.id) && changed.member(r.id) && changed.member(r.heir)) changed.add_removal(r.id) = r;
    }
  }
  return merge(mine, changed, me);
}

// An heir takes over at once, without waiting for the others.
Result<Merged> does_not_wait(const RingState& mine, const RingState& theirs, const MemberId& me) {
  auto out = merge(mine, theirs, me);
  if (!out) return out;
  for (auto& r : out->state.removals) {
    if (r.done || r.heir != me) continue;
    r.adopted.clear();
    for (const auto& m : out->state.members) r.adopted.push_back(m.id);
  }
  return out;
}

// A member that learns of a removal keeps nothing of what only it knew.
Result<Merged> forgets(const RingState& mine, const RingState& theirs, const MemberId& me) {
  auto out = merge(mine, theirs, me);
  if (out && !out->stale && theirs.has_ring() && theirs.removals.size() > mine.removals.size()) {
    out->state.tokens = theirs.tokens;
  }
  return out;
}

TEST(RingSimulation, TheCheckerNoticesABrokenMerge) {
  struct Mistake {
    const char* name;
    MergeFunction merge;
  };
  for (const auto& m : {Mistake{"ignores_versions", ignores_versions}, Mistake{"believes_the_dead", believes_the_dead},
                        Mistake{"does_not_wait", does_not_wait}, Mistake{"forgets", forgets}}) {
    auto total = run_seeds(1, 4000, m.merge, 1);
    EXPECT_FALSE(total.failures.empty()) << m.name << " was not noticed";
    if (!total.failures.empty())
      std::printf("%s: seed %llu: %s\n", m.name, static_cast<unsigned long long>(total.failures.begin()->first),
                  total.failures.begin()->second.c_str());
  }
}

}  // namespace
}  // namespace lab::overlay::ring
