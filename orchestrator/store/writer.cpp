#include "orchestrator/store/writer.h"

#include <cerrno>
#include <unordered_set>

#include "base/log.h"

namespace lab::store {

namespace {

constexpr std::size_t kMaxTxnBytes = 32u << 20;
constexpr std::size_t kMaxQueuedBytes = 256u << 20;
constexpr std::size_t kBatchBytes = 16u << 20;
constexpr std::size_t kBatchTxns = 2048;
constexpr std::size_t kEventOverhead = 200;  // of an event in memory, besides its bytes

std::size_t bytes_of(const Txn& txn) {
  std::size_t out = 0;
  for (const auto& change : txn.changes) out += change.key.size() + (change.value ? change.value->size() : 0);
  return out;
}

Result<void> check_guard(const std::string& key, Revision expected, const Index& index) {
  auto it = index.find(key);
  Revision actual = it == index.end() ? 0 : it->second.modified;
  if (actual == expected) return {};
  Code code = expected == 0 ? Code::kAlreadyExists : actual == 0 ? Code::kNotFound : Code::kConflict;
  return fail(code,
              "key " + key + ": expected revision " + std::to_string(expected) + ", found " + std::to_string(actual));
}

// What is wrong with a transaction whatever the state of the store is.
Result<void> check_form(const Txn& txn) {
  if (txn.changes.size() >= kChangesPerTxn || bytes_of(txn) > kMaxTxnBytes)
    return fail(Code::kTooLarge, "the transaction is too big: at most " + std::to_string(kMaxTxnBytes >> 20) +
                                     " MiB and " + std::to_string(kChangesPerTxn - 1) + " keys");
  std::unordered_set<std::string_view> seen;
  for (const auto& change : txn.changes) {
    if (change.key.empty() || change.key.find('\0') != std::string::npos)
      return fail(Code::kInvalid, "a key must not be empty or contain a zero byte");
    if (!seen.insert(change.key).second)
      return fail(Code::kInvalid, "key " + change.key + " occurs twice in one transaction");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Writer>> Writer::start(sqlite::Database db, WriterOptions options) {
  std::unique_ptr<Writer> writer(new Writer(std::move(options)));
  LAB_CHECK(writer->prepare(std::move(db)));
  writer->thread_ = std::thread([w = writer.get()] { w->run(); });
  return writer;
}

Result<void> Writer::prepare(sqlite::Database db) {
  db_.emplace(std::move(db));
  LAB_TRY(meta_, read_meta(*db_));
  LAB_TRY(index_, read_index(*db_));
  LAB_TRY(insert_, db_->prepare("INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
  LAB_TRY(select_, db_->prepare("SELECT value FROM changes WHERE key = ?1 AND revision = ?2"));
  LAB_TRY(set_meta_, db_->prepare("UPDATE meta SET value = ?2 WHERE name = ?1"));
  LAB_TRY(purgeable_, db_->prepare("SELECT id, revision, key, previous, value IS NULL FROM changes "
                                   "WHERE id >= ?1 AND id < ?2 ORDER BY id"));
  LAB_TRY(purge_, db_->prepare("DELETE FROM changes WHERE key = ?1 AND revision = ?2"));
  revision_ = meta_.revision;
  return {};
}

Writer::~Writer() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Writer::commit(Txn txn, Store::CommitDone done) {
  std::size_t bytes = bytes_of(txn);
  enqueue({.txn = std::move(txn), .done = std::move(done), .bytes = bytes});
}

void Writer::compact(Revision before, Store::CommitDone done) {
  enqueue({.compact = before, .done = std::move(done)});
}

void Writer::enqueue(Request request) {
  {
    std::lock_guard lock(mutex_);
    if (queued_bytes_ + request.bytes > kMaxQueuedBytes) {
      request.txn = {};
      request.bytes = 0;
      request.refused = true;
    }
    queued_bytes_ += request.bytes;
    queue_.push_back(std::move(request));
  }
  wake_.notify_one();
}

std::vector<Writer::Request> Writer::take() {
  std::vector<Request> out;
  std::unique_lock lock(mutex_);
  auto woken = [this] { return stopping_ || !queue_.empty(); };
  auto until = Clock::time_point::max();
  if (!marks_.empty()) until = marks_.front().first + options_.history;
  if (meta_.purged < meta_.compacted) until = std::min(until, purge_not_before_);
  if (broken_ || until == Clock::time_point::max())
    wake_.wait(lock, woken);
  else
    wake_.wait_until(lock, until, woken);
  std::size_t bytes = 0;
  while (!queue_.empty() && out.size() < kBatchTxns && bytes < kBatchBytes) {
    bytes += queue_.front().bytes;
    out.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  return out;
}

void Writer::run() {
  for (;;) {
    auto requests = take();
    if (requests.empty()) {
      std::lock_guard lock(mutex_);
      if (stopping_ && queue_.empty()) return;
    }
    if (!requests.empty()) commit_batch(std::move(requests));
    keep_house();
  }
}

void Writer::commit_batch(std::vector<Request> requests) {
  Batch batch{.meta = meta_};
  auto verdicts = apply(requests, batch);
  if (!verdicts) {
    undo(batch);
    // The disk may hold part of what was refused. A full disk leaves the log as it was; after any other failure only
    // reading everything anew tells what is there.
    Error error = std::move(verdicts).error();
    if (error.sys_errno != ENOSPC && error.code != Code::kUnavailable && !broken_) {
      broken_ = error;
      log::error("the store takes no more writes until it is opened again", {{"reason", error.text()}});
    }
    for (auto& request : requests) request.done(std::unexpected(error));
    return;
  }
  meta_ = batch.meta;
  if (!batch.events.empty()) options_.publish(std::move(batch.events));
  revision_ = meta_.revision;
  for (std::size_t i = 0; i < requests.size(); ++i) requests[i].done(std::move((*verdicts)[i]));
}

Result<std::vector<Result<Committed>>> Writer::apply(std::vector<Request>& requests, Batch& batch) {
  if (broken_) return std::unexpected(*broken_);
  std::vector<Result<Committed>> verdicts;
  for (auto& request : requests) {
    LAB_TRY(auto verdict, apply_one(request, batch));
    verdicts.push_back(std::move(verdict));
  }
  LAB_CHECK(save_meta(meta_, batch.meta));
  if (db_->in_transaction()) {
    if (auto done = db_->exec("COMMIT"); !done) return std::unexpected(std::move(done).error());
  }
  return verdicts;
}

void Writer::undo(Batch& batch) {
  for (auto it = batch.undo.rbegin(); it != batch.undo.rend(); ++it) {
    if (it->second)
      index_[it->first] = *it->second;
    else
      index_.erase(it->first);
  }
  if (!db_->in_transaction()) return;
  if (auto done = db_->exec("ROLLBACK"); !done) log::warn("rollback failed", {{"reason", done.error().text()}});
}

Result<Result<Committed>> Writer::apply_one(Request& request, Batch& batch) {
  if (request.refused)
    return fail(Code::kTooManyRequests, "the store's queue is full (" + std::to_string(kMaxQueuedBytes >> 20) + " MiB)",
                "try again shortly");
  if (request.compact) return apply_compact(*request.compact, batch);
  if (auto ok = check(request.txn); !ok) return Result<Committed>(std::unexpected(std::move(ok).error()));

  auto out = std::make_shared<TxnEvents>();
  out->revision = batch.meta.revision + 1;
  for (auto& change : request.txn.changes)
    LAB_CHECK(apply_change(change, out->revision, out->events.size(), batch, *out));
  if (!out->events.empty()) {
    batch.meta.revision = out->revision;
    batch.events.push_back(std::move(out));
  }
  return Committed{batch.meta.revision};
}

Result<void> Writer::check(const Txn& txn) const {
  LAB_CHECK(check_form(txn));
  for (const auto& [key, expected] : txn.guards) LAB_CHECK(check_guard(key, expected, index_));
  for (const auto& change : txn.changes)
    if (change.expect) LAB_CHECK(check_guard(change.key, *change.expect, index_));
  return {};
}

Result<Result<Committed>> Writer::apply_compact(Revision before, Batch& batch) {
  if (before > batch.meta.revision || before < 0)
    return fail(Code::kInvalid, "cannot compact to revision " + std::to_string(before) + "; now is " +
                                    std::to_string(batch.meta.revision));
  batch.meta.compacted = std::max(batch.meta.compacted, before);
  return Committed{batch.meta.revision};
}

Result<void> Writer::apply_change(Change& change, Revision revision, std::size_t position, Batch& batch,
                                  TxnEvents& out) {
  auto it = index_.find(change.key);
  bool existed = it != index_.end();
  if (!existed && !change.value) return {};  // deleting what is not there changes nothing
  LAB_CHECK(begin());

  Event event{.type = change.value ? Event::kPut : Event::kDelete};
  if (existed) {
    LAB_TRY(event.previous, value_of(change.key, it->second));
    event.previous_revision = it->second.modified;
  }
  Revision created = existed ? it->second.created : revision;
  event.current = {change.key, change.value, change.value ? created : 0, revision};

  insert_.bind(1, revision * kChangesPerTxn + static_cast<std::int64_t>(position));
  insert_.bind(2, revision);
  insert_.bind_text(3, change.key);
  insert_.bind(4, created);
  insert_.bind(5, event.previous_revision);
  if (change.value)
    insert_.bind_blob(6, *change.value);
  else
    insert_.bind_null(6);
  LAB_CHECK(insert_.run());

  batch.undo.emplace_back(change.key, existed ? std::optional(it->second) : std::nullopt);
  if (!change.value)
    index_.erase(it);
  else if (existed)
    it->second = {created, revision, change.value};
  else
    index_.emplace(change.key, Entry{created, revision, change.value});

  out.bytes += kEventOverhead + change.key.size() + (change.value ? change.value->size() : 0) +
               (event.previous ? event.previous->size() : 0);
  out.events.push_back(std::move(event));
  return {};
}

Result<Bytes> Writer::value_of(const std::string& key, const Entry& entry) {
  if (auto held = entry.value.lock()) return held;
  sqlite::ResetGuard guard{select_};
  select_.bind_text(1, key);
  select_.bind(2, entry.modified);
  LAB_TRY(bool found, select_.step());
  if (!found)
    return fail(Code::kIo,
                "store " + db_->path() + ": the value of " + key + " at revision " + std::to_string(entry.modified) +
                    " is missing",
                "the file was changed by another program; restore a snapshot");
  return std::make_shared<const std::string>(select_.bytes(0));
}

Result<void> Writer::begin() {
  if (db_->in_transaction()) return {};
  return db_->exec("BEGIN IMMEDIATE");
}

Result<void> Writer::save_meta(const Meta& before, const Meta& after) {
  auto save = [this](std::string_view name, Revision old_value, Revision value) -> Result<void> {
    if (old_value == value) return {};
    LAB_CHECK(begin());
    set_meta_.bind_text(1, name);
    set_meta_.bind(2, value);
    return set_meta_.run();
  };
  LAB_CHECK(save("revision", before.revision, after.revision));
  LAB_CHECK(save("compacted", before.compacted, after.compacted));
  return save("purged", before.purged, after.purged);
}

}  // namespace lab::store
