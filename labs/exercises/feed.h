// Feed: tells when objects that checks look at may have changed, by watching their kinds, so that nobody has to ask
// again and again. Its own thread; wait() may be called from any one thread.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "bootstrap/node/network.h"
#include "labs/exercises/exercise.h"
#include "orchestrator/client/client.h"

namespace lab::exercises {

class Feed {
 public:
  // `network`: of the lab that `config` leads to.
  Feed(client::RestConfig config, const std::vector<Check>& checks, const bootstrap::LabNetwork& network);
  ~Feed();
  // True at the first change since the last call, false after `limit` without one.
  bool wait(std::chrono::milliseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::exercises
