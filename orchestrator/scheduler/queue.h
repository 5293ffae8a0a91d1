// SchedulingQueue: the pods that await placing, after kube-scheduler's: active (by priority, then age), in back-off
// (1 s, doubling up to 10 s), and unschedulable (until something happens that may help, or five minutes pass).
//
// A plain data structure: the time is a parameter. A popped pod is in none of them; fail() or retry() puts it back.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/io/loop.h"
#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler {

struct QueuedPod {
  PodInfoPtr pod;
  int attempts = 0;        // so far
  TimePoint queued{};      // when it last became active: its age
  TimePoint failed{};      // end of the last attempt
  EventMask retry_on = 0;  // while unschedulable
};

class SchedulingQueue {
 public:
  void add(PodInfoPtr pod, TimePoint now);  // new; or changed so that the last verdict may not hold any more
  void refresh(PodInfoPtr pod);             // a newer version of a pod it has; where it waits stays
  void remove(const std::string& key);
  bool has(const std::string& key) const { return pods_.contains(key); }

  std::optional<QueuedPod> pop();
  // Placing failed: waits for one of `retry_on`.
  void fail(QueuedPod pod, EventMask retry_on, TimePoint now);
  // Something broke on the way: tried again after its back-off.
  void retry(QueuedPod pod, TimePoint now);

  void happened(EventMask what, TimePoint now);  // moves the pods it may help
  void advance(TimePoint now);                   // back-offs that ended; pods that waited too long
  std::optional<TimePoint> next_due() const;     // when advance() has something to do; active pods aside

  struct Sizes {
    std::size_t active, backoff, unschedulable;
  };
  Sizes sizes() const;

 private:
  enum class Place { kActive, kBackoff, kUnschedulable };
  struct Entry {
    QueuedPod queued;
    Place place;
    std::uint64_t serial;
  };
  using Order = std::tuple<std::int64_t, TimePoint, std::uint64_t, std::string>;  // -priority, age, serial, key
  using Due = std::pair<TimePoint, std::string>;
  void put(QueuedPod pod, Place place);
  void take(const std::string& key, Entry& entry);  // out of its place's order
  void wake(const std::string& key, Entry& entry, TimePoint now);
  static TimePoint backoff_end(const QueuedPod& pod);

  std::map<std::string, Entry> pods_;
  std::set<Order> active_;
  std::set<Due> backoff_, unschedulable_;  // ends of back-off; of the longest wait
  std::uint64_t serial_ = 0;
};

}  // namespace lab::scheduler
