// Look: what can be seen of a lab from outside, without asking anything that runs in it: whether it runs, its nodes,
// and what memory and processor time their cgroups have taken. Blocking, and cheap: some small files a node.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace lab::classroom {

struct LabView {
  std::string state = "none";  // "running", "paused", "stopped"
  json::Array nodes;           // as in a student's state
};

class Look {
 public:
  explicit Look(std::string profile) : profile_(std::move(profile)) {}
  // Processor time is that since the last call. One thread at a time.
  Result<LabView> now();

 private:
  struct Sample {
    std::chrono::steady_clock::time_point at;
    std::uint64_t cpu_nanoseconds = 0;
  };
  std::string profile_;
  std::map<std::string, Sample> last_;
};

}  // namespace lab::classroom
