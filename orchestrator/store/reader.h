// Reader: the thread that answers ranges and feeds watches.
//
// A watch is a position in history. Each round takes every watch that is behind a bounded step forward: from the ring
// while that reaches back far enough, else from the database. So a slow watch costs no memory and never holds up the
// writer; when history is compacted below its position it ends with kGone.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "orchestrator/store/history.h"
#include "orchestrator/store/ring.h"
#include "orchestrator/store/store.h"

namespace lab::store {

struct WatchState;

class Reader {
 public:
  Reader(History history, std::size_t ring_bytes, Revision now);
  ~Reader();  // answers the queued ranges first

  void publish(std::vector<TxnEventsPtr> txns);  // committed, in order
  void range(RangeRequest request, Store::RangeDone done);
  std::unique_ptr<Watch> watch(std::string start, std::string end, Revision after, Store::WatchFn fn);

 private:
  struct Job {
    RangeRequest request;
    Store::RangeDone done;
  };
  void run();
  bool advance(WatchState& watch);  // true: it is still behind
  Result<HistoryPage> next_page(const WatchState& watch, Revision& newest);

  History history_;
  std::mutex mutex_;  // taken after a watch's own
  std::condition_variable wake_;
  Ring ring_;
  std::deque<Job> jobs_;
  std::vector<std::shared_ptr<WatchState>> watches_;
  bool behind_ = false;  // some watch may have events to get
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lab::store
