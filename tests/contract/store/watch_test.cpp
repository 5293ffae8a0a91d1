#include <map>
#include <thread>

#include "tests/contract/store/backend.h"

namespace lab::store {
namespace {

class WatchContract : public StoreContract {};
INSTANTIATE_TEST_SUITE_P(Store, WatchContract, ::testing::ValuesIn(backends()), backend_name);

TEST_P(WatchContract, DeliversChangesOfItsRange) {
  Collector got;
  auto watch = store->watch("/a/", prefix_end("/a/"), store->revision(), got.callback());
  Revision r1 = put1("/a/x", "1");
  put1("/b", "other");
  Revision r3 = put1("/a/x", "2");
  ASSERT_TRUE(commit(*store, {del("/a/x")}));
  auto events = got.wait_events(3);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].type, Event::kPut);
  EXPECT_EQ(events[0].current.mod_revision, r1);
  EXPECT_EQ(events[0].current.create_revision, r1);
  EXPECT_EQ(*events[0].current.value, "1");
  EXPECT_EQ(events[0].previous, nullptr);
  EXPECT_EQ(events[0].previous_revision, 0);
  EXPECT_EQ(*events[1].current.value, "2");
  EXPECT_EQ(*events[1].previous, "1");
  EXPECT_EQ(events[1].previous_revision, r1);
  EXPECT_EQ(events[1].current.create_revision, r1);
  EXPECT_EQ(events[2].type, Event::kDelete);
  EXPECT_EQ(events[2].current.key, "/a/x");
  EXPECT_EQ(events[2].current.value, nullptr);
  EXPECT_EQ(events[2].current.mod_revision, r3 + 1);
  EXPECT_EQ(*events[2].previous, "2");
  EXPECT_EQ(events[2].previous_revision, r3);
}

// The same history through the ring, through the disk (after reopening), and from a tiny ring.
TEST_P(WatchContract, HistoryIsTheSameFromMemoryAndFromDisk) {
  Revision start = store->revision();
  for (int i = 0; i < 200; ++i) {
    std::string key = "/k" + std::to_string(i % 13);
    ASSERT_TRUE(i % 5 == 4 ? commit(*store, {del(key), put("/n", std::to_string(i))})
                           : commit(*store, {put(key, std::string(i, 'x')), put("/other" + key, "y")}));
  }
  auto history = [&](Revision after) {
    Collector got;
    auto watch = store->watch("/k", prefix_end("/k"), after, got.callback());
    put1("/k", "end");
    std::string out;
    for (int i = 0; i < 60'000; ++i) {
      auto events = got.wait_events(i + 1);
      if (!events.empty() && events.back().current.key == "/k" &&
          events.back().current.mod_revision == store->revision()) {
        for (const auto& e : events) {
          if (e.current.key == "/k") continue;
          out += e.current.key + " " + std::to_string(e.type) + " " + std::to_string(e.current.mod_revision) + " " +
                 std::to_string(e.current.create_revision) + " " + std::to_string(e.previous_revision) + " " +
                 (e.current.value ? *e.current.value : "-") + " " + (e.previous ? *e.previous : "-") + "\n";
        }
        break;
      }
    }
    return out;
  };
  std::string from_ring = history(start);
  EXPECT_GT(from_ring.size(), 1000u);
  reopen();
  EXPECT_EQ(history(start), from_ring);
  reopen({.history_bytes = 300});
  EXPECT_EQ(history(start), from_ring);
}

TEST_P(WatchContract, FromHistoryThenLiveWithoutGapOrDuplicate) {
  reopen({.history_bytes = 20'000});  // small: watches fall back to the disk and return
  Revision start = store->revision();
  constexpr int kWriters = 4, kEach = 250;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w)
    writers.emplace_back([&, w] {
      for (int i = 0; i < kEach; ++i) {
        std::promise<void> promise;
        store->commit(
            {.changes = {put("/w" + std::to_string(w), std::to_string(i)), put("/x" + std::to_string(w), "v")}},
            [&](Result<Committed> r) {
              EXPECT_TRUE(r);
              promise.set_value();
            });
        promise.get_future().wait();
      }
    });
  std::vector<Collector> collectors(6);
  std::vector<std::unique_ptr<Watch>> watches;
  for (auto& c : collectors) {
    watches.push_back(store->watch("/", "0", start, c.callback()));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (auto& t : writers) t.join();
  for (auto& c : collectors) {
    auto events = c.wait_events(2 * kWriters * kEach);
    ASSERT_EQ(events.size(), std::size_t{2 * kWriters * kEach});
    std::map<std::string, int> next;
    for (std::size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(events[i].current.mod_revision, start + 1 + static_cast<Revision>(i / 2));
      if (events[i].current.key[1] == 'w')
        EXPECT_EQ(*events[i].current.value, std::to_string(next[events[i].current.key]++));
    }
  }
}

TEST_P(WatchContract, ABatchHoldsWholeTransactions) {
  Revision start = store->revision();
  for (int t = 0; t < 300; ++t) {
    std::vector<Change> changes;
    for (int i = 0; i < 7; ++i) changes.push_back(put("/k" + std::to_string(i), std::to_string(t)));
    ASSERT_TRUE(commit(*store, std::move(changes)));
  }
  for (std::size_t ring : {std::size_t{32} << 20, std::size_t{100}}) {
    reopen({.history_bytes = ring});
    struct {
      std::mutex mutex;
      std::condition_variable changed;
      std::size_t events = 0;
      bool torn = false;
    } seen;
    auto watch = store->watch("/", "0", start, [&](Result<WatchBatch> batch) {
      std::lock_guard lock(seen.mutex);
      ASSERT_TRUE(batch) << batch.error().text();
      seen.torn |= batch->size() % 7 != 0;
      seen.events += batch->size();
      seen.changed.notify_all();
    });
    std::unique_lock lock(seen.mutex);
    seen.changed.wait_for(lock, std::chrono::minutes(1), [&] { return seen.events >= 2100; });
    EXPECT_EQ(seen.events, 2100u);
    EXPECT_FALSE(seen.torn);
    lock.unlock();
    watch.reset();
  }
}

TEST_P(WatchContract, FromACompactedRevisionIsGone) {
  Revision r1 = put1("/a", "1");
  Revision r2 = put1("/a", "2");
  ASSERT_TRUE(commit(*store, {del("/a")}));
  ASSERT_TRUE(compact(*store, r2));
  reopen();  // nothing is in memory any more
  Collector gone, fine;
  auto w1 = store->watch("/", "0", r1, gone.callback());
  auto w2 = store->watch("/", "0", r2, fine.callback());
  auto error = gone.wait_error();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::kGone);
  auto events = fine.wait_events(1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type, Event::kDelete);
  EXPECT_EQ(*events[0].previous, "2");
}

TEST_P(WatchContract, ASlowReaderDoesNotHoldUpWriters) {
  reopen({.history_bytes = 50'000});
  std::promise<void> entered, release;
  std::shared_future<void> released = release.get_future().share();
  Collector got;
  bool first = true;
  auto inner = std::make_shared<Store::WatchFn>(got.callback());
  auto watch = store->watch("/", "0", store->revision(), [&, inner](Result<WatchBatch> batch) {
    if (std::exchange(first, false)) {
      entered.set_value();
      released.wait();
    }
    (*inner)(std::move(batch));
  });
  put1("/k", "first");
  entered.get_future().wait();
  for (int i = 0; i < 500; ++i) ASSERT_GT(put1("/k", std::string(1000, 'x')), 0);  // ten times the ring
  release.set_value();
  EXPECT_EQ(got.wait_events(501).size(), 501u) << "history is still on disk, so nothing is missing";
}

TEST_P(WatchContract, ASlowReaderWhoseHistoryIsCompactedIsGone) {
  reopen({.history_bytes = 10'000});
  std::promise<void> entered, release;
  std::shared_future<void> released = release.get_future().share();
  Collector got;
  bool first = true;
  auto inner = std::make_shared<Store::WatchFn>(got.callback());
  auto watch = store->watch("/", "0", store->revision(), [&, inner](Result<WatchBatch> batch) {
    if (std::exchange(first, false)) {
      entered.set_value();
      released.wait();
    }
    (*inner)(std::move(batch));
  });
  put1("/k", "first");
  entered.get_future().wait();
  for (int i = 0; i < 50; ++i) put1("/k", std::string(1000, 'x'));
  ASSERT_TRUE(compact(*store, store->revision()));
  release.set_value();
  auto error = got.wait_error();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::kGone);
  EXPECT_LE(got.events().size(), 1u);
}

TEST_P(WatchContract, NothingIsCalledAfterTheHandleIsGone) {
  for (int round = 0; round < 50; ++round) {
    auto alive = std::make_shared<std::atomic<bool>>(true);
    auto calls = std::make_shared<std::atomic<int>>(0);
    auto watch = store->watch("/", "0", store->revision(), [alive, calls](Result<WatchBatch>) {
      EXPECT_TRUE(*alive);
      ++*calls;
    });
    for (int i = 0; i < 5; ++i) put1("/k", "v");
    watch.reset();
    *alive = false;
    put1("/k", "after");
  }
}

TEST_P(WatchContract, AWatchMayEndItselfAndUseTheStoreInItsCallback) {
  std::promise<Result<RangeResult>> read;
  std::unique_ptr<Watch> watch;
  std::mutex made;
  std::unique_lock hold(made);
  watch = store->watch("/", "0", store->revision(), [&](Result<WatchBatch>) {
    std::lock_guard lock(made);
    watch.reset();
    store->range({.start = "/"}, [&](Result<RangeResult> r) { read.set_value(std::move(r)); });
  });
  hold.unlock();
  put1("/a", "1");
  auto got = read.get_future().get();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->items.size(), 1u);
  put1("/a", "2");  // would set the promise a second time
}

TEST_P(WatchContract, AHandleMayOutliveTheStore) {
  Collector got;
  auto watch = store->watch("/", "0", store->revision(), got.callback());
  put1("/a", "1");
  got.wait_events(1);
  store.reset();
  watch.reset();
}

}  // namespace
}  // namespace lab::store
