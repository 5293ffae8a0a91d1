// BusyPoll: whether to look for the next packet a moment longer before sleeping until it comes, as the kernel's
// net.core.busy_poll and its haltpoll governor do. A sleeping thread takes tens of microseconds to wake on an idle
// machine, several times what a packet costs; looking on in vain costs the time it takes.
//
// So it is done as long as it pays: each time that a packet came meanwhile is a credit, each time that none came costs
// one, and without any it is tried again now and then. Pure; used from one thread.
#pragma once

#include <algorithm>
#include <chrono>

namespace lab::overlay {

class BusyPoll {
 public:
  static constexpr std::chrono::microseconds kPatience{20};
  static constexpr unsigned kMostCredit = 8, kTryEvery = 16;

  bool worthwhile() { return credit_ > 0 || ++asked_ % kTryEvery == 0; }
  void note(bool came) { credit_ = came ? std::min(credit_ + 1, kMostCredit) : credit_ - (credit_ > 0); }

 private:
  unsigned credit_ = 0, asked_ = 0;
};

}  // namespace lab::overlay
