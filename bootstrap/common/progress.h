// Progress: what a person sees while something takes time. One line per step; on a terminal the line of the step in
// hand is rewritten with the elapsed time; elsewhere lines are plain and begin with [phase].
#pragma once

#include <chrono>
#include <string>

namespace lab::bootstrap {

class Progress {
 public:
  Progress(bool quiet = false);
  void step(const std::string& phase, const std::string& text);    // "[certs] Generating ..."
  void state(const std::string& text);                             // a passing state of the step in hand
  void note(const std::string& text);                              // a line that stays
  void warn(const std::string& text);
  void done();                                                     // ends the step in hand

 private:
  bool terminal_, quiet_;
  std::string line_;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace lab::bootstrap
