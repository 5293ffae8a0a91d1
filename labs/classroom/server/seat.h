// Seat: one student's place in a class, as the pages see it: the student's state (docs/classroom-api.md), put together
// of parts that come from different threads, with a version that grows at every change. All calls from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "labs/classroom/model/class.h"
#include "labs/classroom/server/topic.h"

namespace lab::classroom {

class Seat {
 public:
  using Clock = std::chrono::steady_clock;

  // `changed` hears of every change of the state, on the thread that made it; it must not call the seat back.
  Seat(std::string class_name, const Student& student, std::function<void()> changed);

  const std::string class_name;
  const std::string student;  // its name
  const std::string profile;  // of its lab

  // One part of the state: "lab", "nodes", "exercise" ... A value that is there already is no change.
  void set(std::string_view part, json::Value value);
  json::Value state() const;  // whole
  json::Value part(std::string_view) const;
  // The exercise's fields of the teacher's row; not part of the student's state.
  void set_progress(json::Object progress);
  // The names of its lab's nodes; none where there is no lab.
  std::vector<std::string> nodes() const;
  // The teacher's row: progress, lab, online, seen, message.
  json::Value row() const;
  const std::shared_ptr<Topic>& topic() const { return topic_; }

  // A word of the student's: a request, a key. Who looks now and then looks more often for a while.
  void touch();
  Clock::duration since_touch() const;
  bool online() const { return pages > 0; }

  std::atomic<int> pages = 0;      // of the student's own that are connected
  std::atomic<int> followers = 0;  // teachers' pages that look at this student

 private:
  void publish_locked();

  mutable std::mutex mutex_;
  json::Object state_, progress_;
  std::uint64_t version_ = 0;
  Clock::time_point touched_{};
  std::function<void()> changed_;
  std::shared_ptr<Topic> topic_ = std::make_shared<Topic>();
};

using SeatPtr = std::shared_ptr<Seat>;

// The names that nodes of these labs have, in people's order (node10 after node9); those that `planned` nodes will have
// where there is no lab yet.
std::vector<std::string> node_names(const std::vector<SeatPtr>& seats, int planned);

}  // namespace lab::classroom
