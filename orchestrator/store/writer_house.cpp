// The writer's work between batches: checkpoints, ageing of history, removal of compacted rows.
#include "base/log.h"
#include "orchestrator/store/writer.h"

namespace lab::store {

namespace {
constexpr std::size_t kPurgeRows = 512;  // looked at in one step
constexpr auto kPurgeRetry = std::chrono::seconds(5);
constexpr int kMarks = 20;  // how finely the age of history is known: history / kMarks
}  // namespace

void Writer::keep_house() {
  if (broken_) return;
  age_history();
  if (meta_.purged < meta_.compacted && Clock::now() >= purge_not_before_) {
    if (auto done = purge_step(); !done) {
      if (db_->in_transaction()) (void)db_->exec("ROLLBACK");
      purge_not_before_ = Clock::now() + kPurgeRetry;
      log::warn("compacted history could not be removed yet", {{"reason", done.error().text()}});
    }
  }
  if (db_->log_frames() < options_.checkpoint_frames) return;
  if (auto left = db_->checkpoint(); !left)
    log::warn("checkpoint failed; the log grows until one succeeds", {{"reason", left.error().text()}});
}

// Marks remember when a revision was current. Once a mark is older than the history to be kept, so is everything that
// only reads below its revision need.
void Writer::age_history() {
  auto now = Clock::now();
  Revision target = 0;
  while (!marks_.empty() && marks_.front().first + options_.history <= now) {
    target = marks_.front().second;
    marks_.pop_front();
  }
  if (target > meta_.compacted) {
    Meta after = meta_;
    after.compacted = target;
    auto saved = save_meta(meta_, after);
    if (saved) saved = db_->exec("COMMIT");
    if (saved) {
      meta_ = after;
    } else {
      if (db_->in_transaction()) (void)db_->exec("ROLLBACK");
      log::warn("history could not be compacted", {{"reason", saved.error().text()}});
    }
  }
  bool due = marks_.empty() || now - marks_.back().first >= options_.history / kMarks;
  bool fresh = meta_.revision > (marks_.empty() ? meta_.compacted : marks_.back().second);
  if (due && fresh) marks_.emplace_back(now, meta_.revision);
}

// A row replaces its predecessor, and a deletion also itself, once both lie at or below the compacted revision. So the
// rows between the last purge and there name all that can go.
Result<void> Writer::purge_step() {
  struct Doomed {
    std::string key;
    Revision revision;
  };
  std::vector<Doomed> doomed;
  Meta after = meta_;
  after.purged = meta_.compacted;
  {
    sqlite::ResetGuard guard{purgeable_};
    purgeable_.bind(1, (meta_.purged + 1) * kChangesPerTxn);
    purgeable_.bind(2, (meta_.compacted + 1) * kChangesPerTxn);
    Revision last = 0;
    for (std::size_t rows = 0;; ++rows) {
      LAB_TRY(bool more, purgeable_.step());
      if (!more) break;
      if (rows >= kPurgeRows && purgeable_.integer(1) != last) {
        after.purged = last;
        break;
      }
      last = purgeable_.integer(1);
      std::string key(purgeable_.bytes(2));
      if (purgeable_.integer(3) > 0) doomed.push_back({key, purgeable_.integer(3)});
      if (purgeable_.integer(4) != 0) doomed.push_back({std::move(key), last});
    }
  }
  LAB_CHECK(begin());
  for (const auto& row : doomed) {
    purge_.bind_text(1, row.key);
    purge_.bind(2, row.revision);
    LAB_CHECK(purge_.run());
  }
  LAB_CHECK(save_meta(meta_, after));
  LAB_CHECK(db_->exec("COMMIT"));
  meta_ = after;
  return {};
}

}  // namespace lab::store
