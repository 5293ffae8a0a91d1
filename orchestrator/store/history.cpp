#include "orchestrator/store/history.h"

namespace lab::store {

namespace {

// Every text sorts before every blob in SQLite, so an empty blob stands for "no upper bound".
void bind_end(sqlite::Statement& statement, int parameter, const std::string& end) {
  if (end.empty())
    statement.bind_blob(parameter, {});
  else
    statement.bind_text(parameter, end);
}

Bytes copy(std::string_view bytes) {
  return std::make_shared<const std::string>(bytes);
}

Failure compacted(Revision wanted, Revision oldest) {
  return fail(Code::kGone,
              "revision " + std::to_string(wanted) + " is compacted; the oldest kept is " + std::to_string(oldest),
              "list again without a resource version");
}

}  // namespace

Result<History> History::open(sqlite::Database db) {
  History out;
  out.db_ = std::move(db);
  LAB_CHECK(out.db_.exec("PRAGMA query_only = ON"));
  LAB_CHECK(out.db_.exec("PRAGMA cache_size = -1024"));
  LAB_TRY(out.begin_, out.db_.prepare("BEGIN"));
  LAB_TRY(out.end_, out.db_.prepare("COMMIT"));
  LAB_TRY(out.meta_, out.db_.prepare("SELECT name, value FROM meta"));
  LAB_TRY(out.keys_, out.db_.prepare("SELECT key, max(revision) FROM changes INDEXED BY by_key "
                                     "WHERE key >= ?1 AND key < ?2 AND revision <= ?3 GROUP BY key ORDER BY key"));
  LAB_TRY(out.row_, out.db_.prepare("SELECT value, created FROM changes WHERE key = ?1 AND revision = ?2"));
  LAB_TRY(out.events_, out.db_.prepare("SELECT c.key, c.revision, c.created, c.previous, c.value, p.value "
                                       "FROM changes AS c LEFT JOIN changes AS p "
                                       "ON p.key = c.key AND p.revision = c.previous AND c.previous > 0 "
                                       "WHERE c.id >= ?1 AND +c.key >= ?2 AND +c.key < ?3 ORDER BY c.id"));
  return out;
}

Result<Meta> History::meta() {
  sqlite::ResetGuard guard{meta_};
  Meta out;
  for (;;) {
    LAB_TRY(bool row, meta_.step());
    if (!row) return out;
    if (meta_.bytes(0) == "revision") out.revision = meta_.integer(1);
    if (meta_.bytes(0) == "compacted") out.compacted = meta_.integer(1);
  }
}

// Both reads see one state of the database: the bounds and the rows are of the same moment.
Result<RangeResult> History::range(const RangeRequest& request) {
  LAB_CHECK(begin_.run());
  auto out = read_range(request);
  LAB_CHECK(end_.run());
  return out;
}

Result<HistoryPage> History::events(const std::string& start, const std::string& end, Revision after, std::size_t max) {
  LAB_CHECK(begin_.run());
  auto out = read_events(start, end, after, max);
  LAB_CHECK(end_.run());
  return out;
}

Result<RangeResult> History::read_range(const RangeRequest& request) {
  LAB_TRY(Meta now, meta());
  Revision at = request.revision == 0 ? now.revision : request.revision;
  if (at > now.revision || at < 0)
    return fail(Code::kInvalid,
                "revision " + std::to_string(at) + " is not reached yet; now is " + std::to_string(now.revision));
  if (at < now.compacted) return compacted(at, now.compacted);

  sqlite::ResetGuard guard{keys_};
  keys_.bind_text(1, request.start);
  bind_end(keys_, 2, request.end);
  keys_.bind(3, at);
  RangeResult out{.revision = at};
  for (;;) {
    LAB_TRY(bool more, keys_.step());
    if (!more) return out;
    sqlite::ResetGuard row_guard{row_};
    row_.bind_text(1, keys_.bytes(0));
    row_.bind(2, keys_.integer(1));
    LAB_TRY(bool found, row_.step());
    if (!found || row_.is_null(0)) continue;
    if (request.limit > 0 && out.items.size() == request.limit) {
      out.more = true;
      return out;
    }
    out.items.push_back({std::string(keys_.bytes(0)), copy(row_.bytes(0)), row_.integer(1), keys_.integer(1)});
  }
}

Result<HistoryPage> History::read_events(const std::string& start, const std::string& end, Revision after,
                                         std::size_t max) {
  LAB_TRY(Meta now, meta());
  if (after < now.compacted) return compacted(after, now.compacted);
  sqlite::ResetGuard guard{events_};
  events_.bind(1, (after + 1) * kChangesPerTxn);
  events_.bind_text(2, start);
  bind_end(events_, 3, end);
  HistoryPage out{.position = now.revision};
  for (;;) {
    LAB_TRY(bool more, events_.step());
    if (!more) return out;
    Revision revision = events_.integer(1);
    if (out.events.size() >= max && out.events.back().current.mod_revision != revision) {
      out.position = out.events.back().current.mod_revision;
      return out;
    }
    Event event;
    event.current.key = events_.bytes(0);
    event.current.mod_revision = revision;
    event.previous_revision = events_.integer(3);
    if (!events_.is_null(5)) event.previous = copy(events_.bytes(5));
    if (events_.is_null(4)) {
      event.type = Event::kDelete;
    } else {
      event.current.value = copy(events_.bytes(4));
      event.current.create_revision = events_.integer(2);
    }
    out.events.push_back(std::move(event));
  }
}

}  // namespace lab::store
