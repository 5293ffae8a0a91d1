#include "labs/classroom/server/topic.h"

#include <algorithm>

namespace lab::classroom {

void Bell::ring() {
  std::optional<OneShot<bool>> waiter;
  {
    std::lock_guard lock(mutex_);
    rung_ = true;
    waiter = std::exchange(waiter_, std::nullopt);
  }
  if (waiter) waiter->set(true);
}

Task<bool> Bell::wait(Duration limit, std::stop_token stop) {
  OneShot<bool> signal;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(rung_, false)) co_return true;
    waiter_ = signal;
  }
  Loop& loop = *Loop::current();
  const auto timer = loop.call_at(loop.now() + limit, [signal]() mutable { signal.set(false); });
  {
    std::stop_callback on_stop(stop, [signal]() mutable { signal.set(false); });
    co_await signal.wait();
  }
  loop.cancel_timer(timer);
  std::lock_guard lock(mutex_);
  waiter_.reset();
  co_return std::exchange(rung_, false);
}

void Topic::publish(std::string text) {
  std::vector<std::shared_ptr<Bell>> bells;
  {
    std::lock_guard lock(mutex_);
    ++value_.version;
    value_.text = std::make_shared<const std::string>(std::move(text));
    for (const auto& weak : bells_)
      if (auto bell = weak.lock()) bells.push_back(std::move(bell));
  }
  for (const auto& bell : bells) bell->ring();
}

Topic::Value Topic::latest() const {
  std::lock_guard lock(mutex_);
  return value_;
}

void Topic::subscribe(const std::shared_ptr<Bell>& bell) {
  {
    std::lock_guard lock(mutex_);
    bells_.push_back(bell);
    ++readers_;
  }
  bell->ring();
}

void Topic::unsubscribe(const std::shared_ptr<Bell>& bell) {
  std::lock_guard lock(mutex_);
  for (auto it = bells_.begin(); it != bells_.end(); ++it)
    if (it->lock() == bell) {
      bells_.erase(it);
      --readers_;
      return;
    }
}

Reading::Reading(std::shared_ptr<Topic> topic, std::shared_ptr<Bell> bell)
    : topic_(std::move(topic)), bell_(std::move(bell)) {
  topic_->subscribe(bell_);
}

Reading::~Reading() {
  topic_->unsubscribe(bell_);
}

}  // namespace lab::classroom
