// WatchStream: one watch on etcd. It reconnects where it stood, and holds back a bounded amount for a slow reader.
//
// Messages come on gRPC's threads into a queue; the reader is called on `deliver`. A queue that outgrows its bound is
// dropped together with the stream: both start anew where the reader stands, so that what etcd has compacted meanwhile
// ends the watch with kGone, as store.h says. follow() runs on the store's loop.
#pragma once

#include <deque>
#include <mutex>

#include "orchestrator/store/etcd/cluster.h"
#include "orchestrator/store/etcd/messages.h"

namespace lab::store::etcd {

class WatchStream : public std::enable_shared_from_this<WatchStream> {
 public:
  struct Parts {
    std::string start, end;
    Revision after = 0;
    Store::WatchFn fn;
    std::size_t max_bytes = 0;
    Loop* deliver = nullptr;
    std::function<void(Revision)> on_revision;  // any thread
  };
  explicit WatchStream(Parts parts);

  // Until close(), or the watch has failed for good.
  static Task<void> follow(std::shared_ptr<WatchStream> self, std::shared_ptr<Cluster> cluster);
  void stop();   // ends follow(); no waiting
  void close();  // and nothing is called once it has returned, but for the callback that calls it

 private:
  void take(const std::string& message, std::stop_source attempt);
  void deliver();
  void finish(Error error);
  void schedule();  // under mutex_

  Parts parts_;
  std::stop_source stop_;

  std::mutex mutex_;  // the queue
  std::deque<WatchMessage> queue_;
  std::size_t queued_bytes_ = 0;
  Revision queued_, delivered_;  // last revision that came in, last one handed to the reader
  std::optional<Error> end_;
  bool overflowed_ = false, scheduled_ = false;

  std::recursive_mutex calling_;  // held while the reader is called
  bool closed_ = false;
};

}  // namespace lab::store::etcd
