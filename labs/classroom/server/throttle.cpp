#include "labs/classroom/server/throttle.h"

#include <algorithm>

namespace lab::classroom {

std::optional<std::chrono::milliseconds> Throttle::wrong(const std::string& address, TimePoint now) {
  std::lock_guard lock(mutex_);
  if (!entries_.contains(address) && entries_.size() >= kMostAddresses) make_room();
  auto& entry = entries_[address];
  if (entry.wrong > 0)
    for (auto quiet = now - entry.last; quiet >= kForgiven && entry.wrong > 0; quiet -= kForgiven) entry.wrong /= 2;
  entry.last = now;
  if (entry.waiting >= kMostWaiting || waiting_ >= kMostWaitingOfAll) return std::nullopt;
  const auto delay = std::min<std::chrono::milliseconds>(kFirstDelay * (1 << std::min(entry.wrong, 10)), kLongestDelay);
  entry.wrong = std::min(entry.wrong + 1, 16);
  ++entry.waiting;
  ++waiting_;
  return delay;
}

void Throttle::done(const std::string& address) {
  std::lock_guard lock(mutex_);
  --waiting_;
  if (auto found = entries_.find(address); found != entries_.end()) --found->second.waiting;
}

void Throttle::make_room() {
  auto oldest = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it)
    if (it->second.waiting == 0 && (oldest == entries_.end() || it->second.last < oldest->second.last)) oldest = it;
  if (oldest != entries_.end()) entries_.erase(oldest);
}

std::size_t Throttle::addresses() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace lab::classroom
