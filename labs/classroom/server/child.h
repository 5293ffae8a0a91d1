// A process of a job: its output line by line, and its end. It never outlives the thread that started it.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::classroom {

struct ChildEnd {
  int exit_code = 0;   // 128 + signal when it was killed
  std::string errors;  // the end of its standard error
};

// Blocking. `line` hears every line of its standard output, cut to a few hundred characters, without control
// characters. A requested stop ends it and what it started: SIGTERM, and SIGKILL after some seconds.
Result<ChildEnd> run_child(const std::vector<std::string>& argv, const std::function<void(const std::string&)>& line,
                           std::stop_token stop);

}  // namespace lab::classroom
