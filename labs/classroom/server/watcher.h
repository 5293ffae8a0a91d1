// Watcher: keeps a seat's exercise and ports current while its lab runs. A thread a seat, which sleeps while there is
// nothing to look at, is woken by watches on the objects that checks name, and asks commands and pages now and then:
// often while the student is at work, seldom when nobody is there. Any thread may call.
//
// An exercise's session belongs to one process at a time: jobs that write it call suspend() first.
#pragma once

#include <memory>
#include <semaphore>

#include "labs/classroom/server/seat.h"

namespace lab::classroom {

// How many checks that run programs are looked at in the same moment, over all seats.
using CheckSlots = std::counting_semaphore<64>;

class Watcher {
 public:
  Watcher(SeatPtr seat, int ports_port, CheckSlots& slots);
  ~Watcher();
  void wake();            // something may have changed: the lab, who looks, whether the class runs
  void suspend();         // returns when it has let go of the lab and the session
  void resume();          // reads the session anew
  void stop();            // begins the end; the destructor waits for it
  void allow(bool runs);  // whether the class runs: false while it is paused or over

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::classroom
