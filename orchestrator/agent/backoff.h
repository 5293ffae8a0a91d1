// Backoff: how long to wait before a container is started, or an image pulled, again: 10 s, doubling to 5 minutes,
// forgotten after 10 minutes without use. After client-go's flowcontrol.Backoff, as the kubelet uses it. One loop.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "base/io/loop.h"

namespace lab::agent {

class Backoff {
 public:
  Backoff(Duration initial, Duration max) : initial_(initial), max_(max) {}

  // Time left to wait, for a failure at `since`; zero or less: go on.
  Duration remaining(const std::string& key, TimePoint since, TimePoint now) const {
    auto it = entries_.find(key);
    if (it == entries_.end() || expired(it->second, since)) return Duration::zero();
    return it->second.delay - (now - since);
  }
  // Records a further try.
  void next(const std::string& key, TimePoint since, TimePoint now) {
    auto [it, fresh] = entries_.try_emplace(key);
    Entry& e = it->second;
    e.delay = fresh || expired(e, since) ? initial_ : std::min(e.delay * 2, max_);
    e.used = now;
  }
  Duration delay(const std::string& key) const {
    auto it = entries_.find(key);
    return it == entries_.end() ? Duration::zero() : it->second.delay;
  }
  void forget(const std::string& key) { entries_.erase(key); }

 private:
  struct Entry {
    Duration delay{};
    TimePoint used;
  };
  bool expired(const Entry& e, TimePoint since) const { return since - e.used > 2 * max_; }

  Duration initial_, max_;
  std::map<std::string, Entry> entries_;
};

}  // namespace lab::agent
