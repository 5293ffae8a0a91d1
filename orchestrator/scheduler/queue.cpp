#include "orchestrator/scheduler/queue.h"

#include <algorithm>

namespace lab::scheduler {

namespace {

using std::chrono::seconds;
constexpr Duration kFirstBackoff = seconds(1), kLongestBackoff = seconds(10), kLongestWait = seconds(300);

}  // namespace

TimePoint SchedulingQueue::backoff_end(const QueuedPod& pod) {
  if (pod.attempts == 0) return pod.failed;
  Duration wait = kFirstBackoff;
  for (int i = 1; i < pod.attempts && wait < kLongestBackoff; ++i) wait *= 2;
  return pod.failed + std::min(wait, kLongestBackoff);
}

void SchedulingQueue::put(QueuedPod pod, Place place) {
  std::string key = pod.pod->key;
  Entry entry{std::move(pod), place, ++serial_};
  switch (place) {
    case Place::kActive:
      active_.emplace(-entry.queued.pod->priority, entry.queued.queued, entry.serial, key);
      break;
    case Place::kBackoff:
      backoff_.emplace(backoff_end(entry.queued), key);
      break;
    case Place::kUnschedulable:
      unschedulable_.emplace(entry.queued.failed + kLongestWait, key);
      break;
  }
  pods_.insert_or_assign(std::move(key), std::move(entry));
}

void SchedulingQueue::take(const std::string& key, Entry& entry) {
  active_.erase({-entry.queued.pod->priority, entry.queued.queued, entry.serial, key});
  backoff_.erase({backoff_end(entry.queued), key});
  unschedulable_.erase({entry.queued.failed + kLongestWait, key});
}

void SchedulingQueue::wake(const std::string& key, Entry& entry, TimePoint now) {
  take(key, entry);
  QueuedPod pod = std::move(entry.queued);
  bool waits = backoff_end(pod) > now;
  if (!waits) pod.queued = now;
  put(std::move(pod), waits ? Place::kBackoff : Place::kActive);
}

void SchedulingQueue::add(PodInfoPtr pod, TimePoint now) {
  auto it = pods_.find(pod->key);
  if (it == pods_.end() || it->second.queued.pod->uid != pod->uid) {
    remove(pod->key);
    put({.pod = std::move(pod), .queued = now, .failed = now}, Place::kActive);
    return;
  }
  Place place = it->second.place;
  refresh(std::move(pod));
  if (place == Place::kUnschedulable) wake(it->first, it->second, now);
}

void SchedulingQueue::refresh(PodInfoPtr pod) {
  auto it = pods_.find(pod->key);
  if (it == pods_.end()) return;
  take(it->first, it->second);
  QueuedPod queued = std::move(it->second.queued);
  queued.pod = std::move(pod);
  put(std::move(queued), it->second.place);
}

void SchedulingQueue::remove(const std::string& key) {
  auto it = pods_.find(key);
  if (it == pods_.end()) return;
  take(key, it->second);
  pods_.erase(it);
}

std::optional<QueuedPod> SchedulingQueue::pop() {
  if (active_.empty()) return std::nullopt;
  std::string key = std::get<3>(*active_.begin());
  auto it = pods_.find(key);
  QueuedPod out = it->second.queued;
  take(key, it->second);
  pods_.erase(it);
  return out;
}

void SchedulingQueue::fail(QueuedPod pod, EventMask retry_on, TimePoint now) {
  ++pod.attempts;
  pod.failed = now;
  pod.retry_on = retry_on;
  put(std::move(pod), Place::kUnschedulable);
}

void SchedulingQueue::retry(QueuedPod pod, TimePoint now) {
  ++pod.attempts;
  pod.failed = now;
  put(std::move(pod), Place::kBackoff);
}

void SchedulingQueue::happened(EventMask what, TimePoint now) {
  std::vector<std::string> keys;
  for (const auto& [_, key] : unschedulable_)
    if (pods_.at(key).queued.retry_on & what) keys.push_back(key);
  for (const auto& key : keys) wake(key, pods_.at(key), now);
}

void SchedulingQueue::advance(TimePoint now) {
  for (auto* waiting : {&backoff_, &unschedulable_})
    while (!waiting->empty() && waiting->begin()->first <= now) {
      std::string key = waiting->begin()->second;
      Entry& entry = pods_.at(key);
      take(key, entry);
      QueuedPod pod = std::move(entry.queued);
      pod.queued = now;
      put(std::move(pod), Place::kActive);
    }
}

std::optional<TimePoint> SchedulingQueue::next_due() const {
  std::optional<TimePoint> out;
  if (!backoff_.empty()) out = backoff_.begin()->first;
  if (!unschedulable_.empty()) out = std::min(out.value_or(TimePoint::max()), unschedulable_.begin()->first);
  return out;
}

SchedulingQueue::Sizes SchedulingQueue::sizes() const {
  return {active_.size(), backoff_.size(), unschedulable_.size()};
}

}  // namespace lab::scheduler
