#include "orchestrator/store/migrate.h"

#include <algorithm>
#include <deque>
#include <future>

namespace lab::store {

namespace {

constexpr std::size_t kPage = 500;
// Within etcd's own bounds (--max-txn-ops 128, --max-request-bytes 1.5 MiB), whose etcd it is may not be ours to set
// up.
constexpr std::size_t kBatchChanges = 100, kBatchBytes = 1 << 20;
constexpr std::size_t kInFlight = 256;
constexpr auto kAnswerLimit = std::chrono::minutes(2);

template <class T, class Call>
std::future<Result<T>> ask(Call call) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto answer = promise->get_future();
  call([promise](Result<T> r) { promise->set_value(std::move(r)); });
  return answer;
}

template <class T>
Result<T> answer_of(std::future<Result<T>> f) {
  if (f.wait_for(kAnswerLimit) == std::future_status::ready) return f.get();
  return fail(Code::kTimeout, "a store did not answer within two minutes");
}

Result<RangeResult> range(Store& store, RangeRequest request) {
  return answer_of(ask<RangeResult>([&](auto done) { store.range(std::move(request), std::move(done)); }));
}

std::future<Result<Committed>> commit_later(Store& store, std::vector<Change> changes) {
  return ask<Committed>([&](auto done) { store.commit({.changes = std::move(changes)}, std::move(done)); });
}

Result<Committed> commit(Store& store, std::vector<Change> changes) {
  return answer_of(commit_later(store, std::move(changes)));
}

Result<Revision> revision_of(Store& store) {
  LAB_TRY(auto now, answer_of(ask<Committed>([&](auto done) { store.sync(std::move(done)); })));
  return now.revision;
}

// All objects of one revision, a page at a time, in the order of keys.
class Pages {
 public:
  Pages(Store& store, Revision at)
      : store_(store), next_{.start = kObjects, .end = prefix_end(kObjects), .revision = at, .limit = kPage} {}
  // Null at the end.
  Result<const KeyValue*> next() {
    if (at_ == page_.items.size() && more_) {
      LAB_TRY(page_, range(store_, next_));
      more_ = page_.more;
      at_ = 0;
      if (!page_.items.empty()) next_.start = page_.items.back().key + '\0';
    }
    if (at_ == page_.items.size()) return nullptr;
    return &page_.items[at_++];
  }

 private:
  Store& store_;
  RangeRequest next_;
  RangeResult page_;
  std::size_t at_ = 0;
  bool more_ = true;
};

Result<bool> has_mark(Store& store) {
  LAB_TRY(auto mark, range(store, {.start = kMigrationMark, .end = std::string(kMigrationMark) + '\0', .limit = 1}));
  return !mark.items.empty();
}

// An empty target, or what an earlier run that was cut off has left in it, removed.
Result<void> make_ready(Store& to, const std::function<void(const std::string&)>& on_step) {
  LAB_TRY(bool marked, has_mark(to));
  if (marked) on_step("Removing what a migration that was cut off has left");
  while (true) {
    LAB_TRY(auto found, range(to, {.start = kObjects, .end = prefix_end(kObjects), .limit = kBatchChanges}));
    if (found.items.empty()) break;
    if (!marked)
      return fail(Code::kConflict,
                  "the target is not empty: it holds " + found.items.front().key + (found.more ? " and more" : ""),
                  "give an empty one; an etcd is emptied with: etcdctl del --prefix " + std::string(kObjects));
    std::vector<Change> gone;
    for (const auto& item : found.items) gone.push_back({.key = item.key, .value = nullptr, .expect = {}});
    LAB_CHECK(commit(to, std::move(gone)));
  }
  LAB_CHECK(commit(to, {{.key = kMigrationMark, .value = std::make_shared<const std::string>("begun"), .expect = {}}}));
  return {};
}

Result<void> copy(Store& from, Store& to, Migration& m) {
  Pages source(from, m.from_revision);
  std::vector<Change> batch;
  std::size_t batch_bytes = 0;
  while (true) {
    LAB_TRY(const KeyValue* item, source.next());
    const std::size_t size = item ? item->key.size() + item->value->size() : 0;
    if (!batch.empty() && (!item || batch.size() == kBatchChanges || batch_bytes + size > kBatchBytes)) {
      LAB_CHECK(commit(to, std::move(batch)));
      batch.clear();
      batch_bytes = 0;
    }
    if (!item) return {};
    batch.push_back({.key = item->key, .value = item->value, .expect = 0});
    batch_bytes += size;
    m.bytes += size;
    ++m.objects;
  }
}

// Each commit counts one. Many are under way at once, since a store syncs what has queued together.
Result<void> drive_on(Store& to, Revision past) {
  std::deque<std::future<Result<Committed>>> under_way;
  LAB_TRY(Revision now, revision_of(to));
  for (; now <= past || !under_way.empty();) {
    while (now <= past && under_way.size() < kInFlight) {
      under_way.push_back(commit_later(to, {{.key = kMigrationMark,
                                             .value = std::make_shared<const std::string>(std::to_string(++now)),
                                             .expect = {}}}));
    }
    LAB_CHECK(answer_of(std::move(under_way.front())));
    under_way.pop_front();
  }
  return {};
}

Result<void> compare(Store& from, Store& to, const Migration& m) {
  LAB_TRY(Revision target_now, revision_of(to));
  Pages source(from, m.from_revision), target(to, target_now);
  for (std::size_t n = 0;; ++n) {
    LAB_TRY(const KeyValue* a, source.next());
    LAB_TRY(const KeyValue* b, target.next());
    if (!a && !b && n == m.objects) return {};
    if (!a || !b || a->key != b->key || *a->value != *b->value)
      return fail(Code::kConflict,
                  "the copy differs from the source at " + (a   ? a->key
                                                            : b ? b->key
                                                                : std::string("the end")),
                  "somebody writes the target: stop every server that uses it, and run this again");
  }
}

}  // namespace

Result<Migration> migrate(Store& from, Store& to, std::function<void(const std::string&)> on_step) {
  if (!on_step) on_step = [](const std::string&) {};
  LAB_CHECK(refuse_half_migrated(from));
  LAB_CHECK(make_ready(to, on_step));
  Migration m;
  LAB_TRY(m.from_revision, revision_of(from));
  on_step("Copying the objects of revision " + std::to_string(m.from_revision));
  LAB_CHECK(copy(from, to, m));
  on_step("Driving the target's revision past " + std::to_string(m.from_revision));
  LAB_CHECK(drive_on(to, m.from_revision));
  on_step("Comparing " + std::to_string(m.objects) + " objects");
  LAB_CHECK(compare(from, to, m));
  LAB_TRY(Revision source_now, revision_of(from));
  if (source_now != m.from_revision)
    return fail(Code::kConflict,
                "the source was written meanwhile: revision " + std::to_string(source_now) + " after " +
                    std::to_string(m.from_revision),
                "stop every server that uses it, and run this again");
  LAB_TRY(auto done, commit(to, {{.key = kMigrationMark, .value = nullptr, .expect = {}}}));
  m.to_revision = done.revision;
  return m;
}

Result<void> refuse_half_migrated(Store& store) {
  LAB_TRY(bool marked, has_mark(store));
  if (!marked) return {};
  return fail(Code::kConflict, "this store is the target of a migration that was cut off",
              "complete it: run lab store migrate again");
}

}  // namespace lab::store
