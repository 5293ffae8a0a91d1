#include "overlay-net/mesh/targets.h"

#include <algorithm>

namespace lab::overlay {
namespace {

constexpr std::size_t kMaxTold = 1024;
constexpr std::size_t kMaxTargets = 4096;

}  // namespace

Duration pause_after(int failures, const BackOff& rules, std::mt19937_64& random) {
  auto pause = rules.first;
  for (int i = 1; i < failures && pause < rules.most; ++i) pause *= 2;
  pause = std::min(pause, rules.most);
  auto half = pause.count() / 2;
  return Duration(half + static_cast<Duration::rep>(random() % static_cast<std::uint64_t>(half + 1)));
}

void Targets::set(const std::string& source, const std::map<std::string, Duration>& addresses, TimePoint now) {
  for (auto& [address, target] : targets_) {
    if (!addresses.contains(address)) target.sources.erase(source);
  }
  for (const auto& [address, delay] : addresses) {
    if (own_.contains(address)) continue;
    if (!targets_.contains(address) && targets_.size() >= kMaxTargets) continue;
    auto [it, made] = targets_.try_emplace(address);
    it->second.sources.insert(source);
    if (!made) continue;
    auto jitter = random_() % static_cast<std::uint64_t>(std::max<Duration::rep>(1, delay.count()));
    it->second.next = now + delay + Duration(static_cast<Duration::rep>(jitter));
  }
  drop_unnamed();
}

// What is being dialled stays until the attempt has ended.
void Targets::drop_unnamed() {
  std::erase_if(targets_,
                [](const auto& t) { return t.second.sources.empty() && t.second.state != Target::State::kDialling; });
}

void Targets::set_connected(const std::set<std::string>& addresses, TimePoint now) {
  for (auto& [address, target] : targets_) {
    bool is = addresses.contains(address);
    if (is) target.error.clear();
    if (is && target.state == Target::State::kWaiting) {
      target.state = Target::State::kConnected;
      target.since = now;
      target.failures = 0;
    } else if (!is && target.state == Target::State::kConnected) {
      target.state = Target::State::kWaiting;
      target.failures = 0;
      target.next = now + pause_after(1, rules_, random_);
    }
  }
}

std::vector<std::string> Targets::take_due(TimePoint now) {
  std::vector<std::string> out;
  for (auto& [address, target] : targets_) {
    if (target.state != Target::State::kWaiting || target.next > now) continue;
    target.state = Target::State::kDialling;
    out.push_back(address);
  }
  return out;
}

void Targets::failed(const std::string& address, std::string error, TimePoint now) {
  auto it = targets_.find(address);
  if (it == targets_.end()) return;
  auto& t = it->second;
  t.state = Target::State::kWaiting;
  t.error = std::move(error);
  t.next = now + pause_after(++t.failures, rules_, random_);
  if (own_.contains(address)) t.sources.clear();
  drop_unnamed();
}

void Targets::connected(const std::string& address, TimePoint now) {
  auto it = targets_.find(address);
  if (it == targets_.end()) return;
  it->second.state = Target::State::kConnected;
  it->second.since = now;
  it->second.error.clear();
}

void Targets::explain(const std::string& address, std::string error) {
  auto it = targets_.find(address);
  if (it != targets_.end()) it->second.error = std::move(error);
}

void Targets::lost(const std::string& address, Duration lasted, std::string error, TimePoint now) {
  auto it = targets_.find(address);
  if (it == targets_.end()) return;
  if (lasted >= rules_.held) it->second.failures = 0;
  failed(address, std::move(error), now);
}

TimePoint Targets::next_due() const {
  auto due = TimePoint::max();
  for (const auto& [address, t] : targets_) {
    if (t.state == Target::State::kWaiting) due = std::min(due, t.next);
  }
  return due;
}

bool ToldOnce::tell(const std::string& subject, TimePoint now, std::uint64_t* left_out) {
  if (!told_.contains(subject) && told_.size() >= kMaxTold) {
    // Somebody makes up subjects: the oldest goes.
    told_.erase(std::ranges::min_element(told_, {}, [](const auto& e) { return e.second.at; }));
  }
  auto [it, first] = told_.try_emplace(subject, Entry{now});
  if (!first && now - it->second.at < again_) {
    ++it->second.left_out;
    return false;
  }
  if (left_out) *left_out = it->second.left_out;
  it->second = {now};
  return true;
}

}  // namespace lab::overlay
