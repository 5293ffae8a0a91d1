// The logs of a project's containers as one stream of lines, each with its service's name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"

namespace lab::compose {

// Follows the pods of a project, those that come later too, from construction until destruction, on a thread of its
// own. `line` is called there, one call at a time.
class LogFollower {
 public:
  using Line = std::function<void(const std::string& service, const std::string& text)>;
  LogFollower(client::RestConfig config, std::string project, std::vector<std::string> services, Line line);
  ~LogFollower();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What they have said so far, one container after the other.
Result<void> print_logs(bootstrap::Cluster& cluster, const std::string& project,
                        const std::vector<std::string>& services, const LogFollower::Line& line);

}  // namespace lab::compose
