#include <set>
#include <thread>

#include "tests/contract/store/backend.h"

namespace lab::store {
namespace {

class TxnContract : public StoreContract {};
INSTANTIATE_TEST_SUITE_P(Store, TxnContract, ::testing::ValuesIn(backends()), backend_name);

TEST_P(TxnContract, RevisionsAdvanceByOneAndAreSharedByATransaction) {
  Revision start = store->revision();
  auto done = commit(*store, {put("/a", "1"), put("/b", "2")});
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->revision, start + 1);
  EXPECT_EQ(store->revision(), start + 1);
  EXPECT_EQ(put1("/a", "3"), start + 2);

  auto all = range_prefix(*store, "/");
  ASSERT_TRUE(all);
  ASSERT_EQ(all->items.size(), 2u);
  EXPECT_EQ(all->revision, start + 2);
  EXPECT_EQ(*all->items[0].value, "3");
  EXPECT_EQ(all->items[0].create_revision, start + 1);
  EXPECT_EQ(all->items[0].mod_revision, start + 2);
  EXPECT_EQ(all->items[1].mod_revision, start + 1);
}

TEST_P(TxnContract, AFailedGuardChangesNothing) {
  Revision r = put1("/a", "1");
  auto done = commit(*store, {put("/b", "new"), put("/a", "2", r + 7)});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kConflict);
  EXPECT_NE(done.error().message.find("/a"), std::string::npos);
  EXPECT_NE(done.error().message.find(std::to_string(r + 7)), std::string::npos);
  EXPECT_NE(done.error().message.find(std::to_string(r)), std::string::npos);
  EXPECT_EQ(store->revision(), r);
  auto all = range_prefix(*store, "/");
  ASSERT_EQ(all->items.size(), 1u);
  EXPECT_EQ(*all->items[0].value, "1");
}

TEST_P(TxnContract, GuardsTellAbsentFromPresent) {
  Revision r = put1("/a", "1");
  EXPECT_EQ(commit(*store, {put("/a", "x", 0)}).error().code, Code::kAlreadyExists);
  EXPECT_EQ(commit(*store, {put("/none", "x", r)}).error().code, Code::kNotFound);
  EXPECT_EQ(commit(*store, {del("/none", r)}).error().code, Code::kNotFound);
  EXPECT_TRUE(commit(*store, {put("/new", "x", 0)}));
  EXPECT_TRUE(commit(*store, {put("/a", "2", r)}));
}

TEST_P(TxnContract, GuardsOnOtherKeysAreCompared) {
  Revision r = put1("/ns", "active");
  Txn good{.changes = {put("/pod", "1", 0)}, .guards = {{"/ns", r}, {"/absent", 0}}};
  EXPECT_TRUE(commit(*store, good));
  Txn bad{.changes = {put("/pod2", "1", 0)}, .guards = {{"/ns", r + 1}}};
  EXPECT_EQ(commit(*store, bad).error().code, Code::kConflict);
  Txn exists{.changes = {put("/pod2", "1", 0)}, .guards = {{"/pod", 0}}};
  EXPECT_EQ(commit(*store, exists).error().code, Code::kAlreadyExists);
  EXPECT_EQ(range_prefix(*store, "/pod")->items.size(), 1u);
}

TEST_P(TxnContract, GuardsAloneDoNotAdvanceTheRevision) {
  Revision r = put1("/a", "1");
  auto done = commit(*store, Txn{.guards = {{"/a", r}}});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->revision, r);
}

TEST_P(TxnContract, DeletingWhatIsAbsentChangesNothing) {
  Revision r = put1("/a", "1");
  auto done = commit(*store, {del("/none")});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->revision, r);
  EXPECT_EQ(store->revision(), r);
}

TEST_P(TxnContract, ADeletedKeyBeginsAnew) {
  put1("/a", "1");
  ASSERT_TRUE(commit(*store, {del("/a")}));
  EXPECT_TRUE(range_prefix(*store, "/a")->items.empty());
  auto again = commit(*store, {put("/a", "2", 0)});
  ASSERT_TRUE(again);
  auto item = range_prefix(*store, "/a")->items.at(0);
  EXPECT_EQ(item.create_revision, again->revision);
}

TEST_P(TxnContract, BadTransactionsAreRefused) {
  EXPECT_EQ(commit(*store, {put("", "x")}).error().code, Code::kInvalid);
  EXPECT_EQ(commit(*store, {put("/a", "1"), put("/a", "2")}).error().code, Code::kInvalid);
  EXPECT_EQ(commit(*store, {put("/a", std::string(40 << 20, 'x'))}).error().code, Code::kTooLarge);
  EXPECT_TRUE(commit(*store, {put("/a", "")})) << "an empty value is a value";
  auto item = range_prefix(*store, "/a")->items.at(0);
  ASSERT_TRUE(item.value);
  EXPECT_EQ(*item.value, "");
}

TEST_P(TxnContract, ValuesAreKeptByteForByte) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  std::string big(1536 * 1024, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
  put1("/bytes", all);
  put1("/big", big);
  reopen();
  EXPECT_EQ(*range_prefix(*store, "/bytes")->items.at(0).value, all);
  EXPECT_EQ(*range_prefix(*store, "/big")->items.at(0).value, big);
}

TEST_P(TxnContract, OfManyWritersOfOneGuardOneWins) {
  Revision r = put1("/counter", "0");
  std::atomic<int> won = 0, lost = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      auto done = commit(*store, {put("/counter", std::to_string(t), r)});
      ++(done ? won : lost);
      if (!done) EXPECT_EQ(done.error().code, Code::kConflict);
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, 7);
}

TEST_P(TxnContract, AFailureInABatchLeavesItsNeighboursAlone) {
  // Queued at once, so that they meet in one batch; every third has a guard that cannot hold.
  std::vector<std::future<Result<Committed>>> answers;
  for (int i = 0; i < 300; ++i) {
    auto promise = std::make_shared<std::promise<Result<Committed>>>();
    answers.push_back(promise->get_future());
    std::optional<Revision> expect;
    if (i % 3 == 0) expect = 1'000'000;
    store->commit({.changes = {put("/k" + std::to_string(i), "v", expect)}},
                  [promise](Result<Committed> r) { promise->set_value(std::move(r)); });
  }
  Revision last = 0;
  std::set<Revision> revisions;
  for (int i = 0; i < 300; ++i) {
    auto done = answers[i].get();
    EXPECT_EQ(done.has_value(), i % 3 != 0) << i;
    if (!done) continue;
    if (GetParam().in_order)
      EXPECT_EQ(done->revision, last == 0 ? done->revision : last + 1) << "in the order they were queued";
    last = done->revision;
    revisions.insert(last);
  }
  ASSERT_EQ(revisions.size(), 200u);
  EXPECT_EQ(*revisions.rbegin() - *revisions.begin(), 199);
  EXPECT_EQ(range_prefix(*store, "/k")->items.size(), 200u);
}

TEST_P(TxnContract, ConcurrentCommitsGetDistinctRevisionsInOrder) {
  constexpr int kThreads = 8, kEach = 50;
  std::mutex mutex;
  std::set<Revision> revisions;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      Revision last = 0;
      for (int i = 0; i < kEach; ++i) {
        auto done = commit(*store, {put("/t" + std::to_string(t), std::to_string(i))});
        ASSERT_TRUE(done);
        EXPECT_GT(done->revision, last);
        EXPECT_GE(store->revision(), done->revision);
        last = done->revision;
        std::lock_guard lock(mutex);
        revisions.insert(last);
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(revisions.size(), std::size_t{kThreads * kEach});
  EXPECT_EQ(*revisions.rbegin() - *revisions.begin(), kThreads * kEach - 1);
}

TEST_P(TxnContract, ClosingFinishesWhatIsQueued) {
  std::atomic<int> answered = 0;
  for (int i = 0; i < 200; ++i)
    store->commit({.changes = {put("/k" + std::to_string(i), "v")}},
                  [&](Result<Committed> r) { answered += r ? 1 : 0; });
  store.reset();
  EXPECT_EQ(answered, 200);
  reopen();
  EXPECT_EQ(range_prefix(*store, "/k")->items.size(), 200u);
}

TEST_P(TxnContract, ReopeningKeepsEverything) {
  Revision a = put1("/a", "1");
  put1("/b", "1");
  ASSERT_TRUE(commit(*store, {del("/b")}));
  Revision last = store->revision();
  reopen();
  EXPECT_EQ(store->revision(), last);
  auto all = range_prefix(*store, "/");
  ASSERT_EQ(all->items.size(), 1u);
  EXPECT_EQ(all->items[0].mod_revision, a);
  EXPECT_EQ(commit(*store, {put("/a", "2", a + 1)}).error().code, Code::kConflict);
  EXPECT_EQ(commit(*store, {put("/a", "2", a)})->revision, last + 1);
  EXPECT_EQ(range_prefix(*store, "/b", last - 1)->items.size(), 1u) << "history survives as well";
}

}  // namespace
}  // namespace lab::store
