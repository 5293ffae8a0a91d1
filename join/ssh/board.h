// One line a host while the hosts work. On a terminal that has room for all, the lines are rewritten in place;
// elsewhere each new step of a host is a line of its own. Any thread may call.
#pragma once

#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

namespace lab::join::ssh {

class Board {
 public:
  explicit Board(std::vector<std::string> names);
  void set(std::size_t index, const std::string& text);
  // Runs f (a question to the person) while no line is written, and draws the lines anew below it.
  template <class F>
  auto aside(F f) {
    std::lock_guard lock(mutex_);
    auto answer = f();
    draw_all();
    return answer;
  }

 private:
  void draw_all();
  std::string line(std::size_t index) const;

  std::mutex mutex_;
  std::vector<std::string> names_, texts_;
  std::size_t width_ = 0;    // of the longest name
  std::size_t columns_ = 0;  // of the terminal; 0: lines are not rewritten
};

}  // namespace lab::join::ssh
