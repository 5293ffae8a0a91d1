// History: reads of the database at any revision that is not compacted. One thread, its own connection.
#pragma once

#include <string>

#include "orchestrator/store/schema.h"
#include "orchestrator/store/sqlite.h"
#include "orchestrator/store/store.h"

namespace lab::store {

struct HistoryPage {
  WatchBatch events;      // whole transactions
  Revision position = 0;  // all events up to here have been seen
};

class History {
 public:
  static Result<History> open(sqlite::Database db);
  Result<RangeResult> range(const RangeRequest& request);
  // Events of [start, end) with revision > after, about `max` of them at most. kGone when compacted.
  Result<HistoryPage> events(const std::string& start, const std::string& end, Revision after, std::size_t max);

 private:
  Result<RangeResult> read_range(const RangeRequest& request);
  Result<HistoryPage> read_events(const std::string& start, const std::string& end, Revision after, std::size_t max);
  Result<Meta> meta();

  sqlite::Database db_;
  sqlite::Statement begin_, end_, meta_, keys_, row_, events_;
};

}  // namespace lab::store
