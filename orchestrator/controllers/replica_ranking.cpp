#include "orchestrator/controllers/replica_ranking.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

namespace {

struct Rank {
  int unassigned, phase, not_ready;
  std::int64_t cost;
  int neighbours;
  int ready_age;  // power of two of the seconds it has been ready; -1 never
  std::int64_t restarts;
  int age;
  std::string uid;
};

int phase_order(std::string_view phase) {
  return phase == "Pending" ? 0 : phase == "Running" ? 2 : 1;
}

int bucket(WallTime since, WallTime now) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - since).count();
  return seconds <= 0 ? 0 : std::bit_width(static_cast<std::uint64_t>(seconds));
}

Rank rank_of(const RankedPod& ranked, WallTime now) {
  const auto& pod = *ranked.pod;
  Rank rank{};
  rank.unassigned = json::str(pod, "spec", "nodeName").empty() ? 0 : 1;
  rank.phase = phase_order(json::str(pod, "status", "phase"));
  bool ready = pod_ready(pod);
  rank.not_ready = ready ? 1 : 0;
  auto cost = annotation_of(pod, "controller.kubernetes.io/pod-deletion-cost");
  std::from_chars(cost.data(), cost.data() + cost.size(), rank.cost);
  rank.neighbours = -ranked.neighbours;
  rank.ready_age = -1;
  if (ready)
    if (auto since = time_at(json::at(*find_condition(pod, "Ready"), "lastTransitionTime")))
      rank.ready_age = bucket(*since, now);
  for (const auto& status : json::list(pod, "status", "containerStatuses"))
    rank.restarts = std::min(rank.restarts, -json::num(status, "restartCount"));
  rank.age = bucket(created_at(pod), now);
  rank.uid = uid_of(pod);
  return rank;
}

bool before(const Rank& a, const Rank& b) {
  return std::tie(a.unassigned, a.phase, a.not_ready, a.cost, a.neighbours, a.ready_age, a.restarts, a.age, a.uid) <
         std::tie(b.unassigned, b.phase, b.not_ready, b.cost, b.neighbours, b.ready_age, b.restarts, b.age, b.uid);
}

}  // namespace

void rank_for_deletion(std::vector<RankedPod>& pods, WallTime now) {
  std::vector<std::pair<Rank, RankedPod>> keyed;
  keyed.reserve(pods.size());
  for (auto& pod : pods) keyed.emplace_back(rank_of(pod, now), std::move(pod));
  std::sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return before(a.first, b.first); });
  for (std::size_t i = 0; i < pods.size(); ++i) pods[i] = std::move(keyed[i].second);
}

}  // namespace lab::controllers
