// Topic: the newest value of something that many pages show; Bell: what wakes one page when any of its topics changed.
//
// Level-triggered: a page that is slow, or was away, gets the newest value alone and never a queue of old ones.
// publish() and latest() may be called from any thread. A Bell is waited for by one coroutine.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/io/oneshot.h"

namespace lab::classroom {

using Text = std::shared_ptr<const std::string>;

class Bell {
 public:
  void ring();  // any thread
  // Until it was rung since the last wait. False when `stop` was requested or the time ran out.
  Task<bool> wait(Duration limit, std::stop_token stop);

 private:
  std::mutex mutex_;
  bool rung_ = false;
  std::optional<OneShot<bool>> waiter_;
};

class Topic {
 public:
  struct Value {
    std::uint64_t version = 0;  // 0: nothing was published yet
    Text text;
  };

  void publish(std::string text);
  Value latest() const;
  // Rings the bell at every change, while the bell lives.
  void subscribe(const std::shared_ptr<Bell>& bell);
  void unsubscribe(const std::shared_ptr<Bell>& bell);
  bool watched() const { return readers_ > 0; }  // somebody subscribes

 private:
  mutable std::mutex mutex_;
  Value value_;
  std::vector<std::weak_ptr<Bell>> bells_;
  std::atomic<int> readers_ = 0;
};

// A subscription for a lifetime.
class Reading {
 public:
  Reading(std::shared_ptr<Topic> topic, std::shared_ptr<Bell> bell);
  ~Reading();
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  Topic& topic() { return *topic_; }

 private:
  std::shared_ptr<Topic> topic_;
  std::shared_ptr<Bell> bell_;
};

}  // namespace lab::classroom
