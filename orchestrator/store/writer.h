// Writer: the thread that alone changes the database.
//
// It takes all that has queued, judges each transaction against the index, writes those that pass in one SQLite
// transaction (one sync for all: group commit), publishes their events and then answers. Between batches it moves the
// log into the database file, ages history and removes what is compacted, in small steps.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "orchestrator/store/ring.h"
#include "orchestrator/store/schema.h"
#include "orchestrator/store/sqlite.h"
#include "orchestrator/store/store.h"

namespace lab::store {

struct WriterOptions {
  std::chrono::steady_clock::duration history;
  int checkpoint_frames;
  std::function<void(std::vector<TxnEventsPtr>)> publish;
};

class Writer {
 public:
  static Result<std::unique_ptr<Writer>> start(sqlite::Database db, WriterOptions options);
  ~Writer();  // commits what is queued

  void commit(Txn txn, Store::CommitDone done);
  void compact(Revision before, Store::CommitDone done);
  Revision revision() const { return revision_.load(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Request {
    Txn txn;
    std::optional<Revision> compact;
    Store::CommitDone done;
    std::size_t bytes = 0;
    bool refused = false;  // the queue was full
  };
  // What a batch has done so far, to be published or undone as a whole.
  struct Batch {
    Meta meta;
    std::vector<TxnEventsPtr> events;
    std::vector<std::pair<std::string, std::optional<Entry>>> undo;
  };

  explicit Writer(WriterOptions options) : options_(std::move(options)) {}
  Result<void> prepare(sqlite::Database db);
  void run();
  void enqueue(Request request);
  std::vector<Request> take();
  void commit_batch(std::vector<Request> requests);
  Result<std::vector<Result<Committed>>> apply(std::vector<Request>& requests, Batch& batch);
  void undo(Batch& batch);
  // The outer result is a failure of the database, the inner one the verdict on this request alone.
  Result<Result<Committed>> apply_one(Request& request, Batch& batch);
  Result<void> check(const Txn& txn) const;
  Result<Result<Committed>> apply_compact(Revision before, Batch& batch);
  Result<void> apply_change(Change& change, Revision revision, std::size_t position, Batch& batch, TxnEvents& out);
  Result<Bytes> value_of(const std::string& key, const Entry& entry);
  Result<void> begin();
  Result<void> save_meta(const Meta& before, const Meta& after);

  void keep_house();
  void age_history();
  Result<void> purge_step();

  WriterOptions options_;
  std::optional<sqlite::Database> db_;
  sqlite::Statement insert_, select_, set_meta_, purgeable_, purge_;
  Index index_;
  Meta meta_;                                                 // as committed
  std::optional<Error> broken_;                               // after an I/O error nothing more is written
  std::deque<std::pair<Clock::time_point, Revision>> marks_;  // when which revision was current
  Clock::time_point purge_not_before_{};                      // after a failed purge
  std::atomic<Revision> revision_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request> queue_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lab::store
