// The embedded store on a disk whose power fails: nothing acknowledged is lost, nothing half-written is read, and an
// acknowledgement is never given before a sync.
#include <random>

#include "tests/contract/store/fault_vfs.h"
#include "tests/contract/store/history_model.h"

namespace lab::store {
namespace {

Result<std::unique_ptr<Store>> open_on_fault_disk() {
  return open_embedded({.path = "/disk/store.db", .checkpoint_frames = 12, .vfs = FaultVfs::kName});
}

// Submits transactions in bursts until the power goes or `last` is reached. Returns the highest acknowledged.
int write_until_power_cut(Store& store, std::uint64_t seed, int from, int last, std::mt19937_64& random) {
  std::atomic<int> acknowledged = from;
  for (int n = from + 1; n <= last && FaultVfs::get().powered();) {
    int burst = 1 + static_cast<int>(random() % 5);
    std::promise<void> answered;
    std::atomic<int> open = burst;
    for (int i = 0; i < burst; ++i, ++n)
      store.commit(model_txn(seed, n), [&, n](Result<Committed> r) {
        if (r) {
          EXPECT_EQ(acknowledged, n - 1) << "in order, without gaps";
          acknowledged = n;
        }
        if (--open == 0) answered.set_value();
      });
    answered.get_future().wait();
    if (random() % 16 == 0) (void)compact(store, store.revision());
  }
  return acknowledged;
}

// One disk that loses power again and again.
void run_disk(std::uint64_t seed, int cuts) {
  auto& disk = FaultVfs::get();
  disk.format();
  std::mt19937_64 random(seed);
  Model model(seed);
  int acknowledged = 0;
  for (int cut = 0; cut < cuts; ++cut) {
    disk.cut_power_after(static_cast<std::int64_t>(random() % (cut % 3 == 0 ? 40 : 400)));
    {
      auto store = open_on_fault_disk();
      if (store) acknowledged = write_until_power_cut(**store, seed, acknowledged, acknowledged + 2000, random);
    }
    disk.restart(random());
    auto store = open_on_fault_disk();
    ASSERT_TRUE(store) << "cut " << cut << ": " << store.error().text();
    int held = Model::count_in(**store);
    ASSERT_GE(held, acknowledged) << "cut " << cut << ": acknowledged transactions are lost";
    model.advance_to(held);
    ASSERT_EQ(model.differs(**store), "") << "cut " << cut;
    acknowledged = held;
  }
}

TEST(PowerCut, NothingAcknowledgedIsLostAndNothingHalfWrittenIsRead) {
  constexpr int kCutsPerDisk = 20;
  int disks = (rounds_from_environment(1000) + kCutsPerDisk - 1) / kCutsPerDisk;
  for (int d = 0; d < disks; ++d) {
    std::uint64_t seed = 7001 + d;
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_disk(seed, kCutsPerDisk);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(PowerCut, ASyncLiesBetweenQueueingAndAcknowledging) {
  auto& disk = FaultVfs::get();
  disk.format();
  auto store = open_on_fault_disk();
  ASSERT_TRUE(store) << store.error().text();
  std::atomic<int> answered = 0;
  for (int n = 1; n <= 200; ++n) {
    std::int64_t queued_at = disk.log_syncs();
    (*store)->commit(model_txn(1, n), [&, queued_at](Result<Committed> r) {
      EXPECT_TRUE(r);
      EXPECT_GT(disk.log_syncs(), queued_at);
      ++answered;
    });
    if (n % 3 == 0) (void)commit(**store, Txn{});  // lets the queue run empty now and then
  }
  store->reset();
  EXPECT_EQ(answered, 200);
}

TEST(PowerCut, AGroupOfCommitsSharesASync) {
  auto& disk = FaultVfs::get();
  disk.format();
  auto store = open_on_fault_disk();
  ASSERT_TRUE(store);
  std::int64_t before = disk.log_syncs();
  for (int n = 1; n <= 1000; ++n) (*store)->commit(model_txn(1, n), [](Result<Committed> r) { EXPECT_TRUE(r); });
  store->reset();
  EXPECT_LT(disk.log_syncs() - before, 900);
}

// The test disk can lose what is not synced: without that, the tests above would prove nothing.
TEST(PowerCut, TheDiskLosesUnsyncedWrites) {
  auto& disk = FaultVfs::get();
  int lost = 0;
  for (int seed = 0; seed < 20; ++seed) {
    disk.format();
    auto store = open_on_fault_disk();
    ASSERT_TRUE(store);
    ASSERT_TRUE(commit(**store, model_txn(1, 1)));
    std::int64_t at = disk.operations();
    disk.fail_syncs(true);
    auto refused = commit(**store, model_txn(1, 2));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kIo);
    EXPECT_GT(disk.operations(), at);
    // After a failed sync nobody knows what is on disk: the store must not write on.
    disk.fail_syncs(false);
    EXPECT_FALSE(commit(**store, model_txn(1, 3)));
    EXPECT_EQ((*store)->revision(), 1);
    disk.cut_power_after(0);
    store->reset();
    disk.restart(seed);
    auto again = open_on_fault_disk();
    ASSERT_TRUE(again);
    lost += Model::count_in(**again) == 1 ? 1 : 0;
  }
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, 20);
}

TEST(FullDisk, IsToldAndPassesWhenThereIsSpaceAgain) {
  auto& disk = FaultVfs::get();
  disk.format();
  auto store = open_on_fault_disk();
  ASSERT_TRUE(store);
  Model model(1);
  disk.set_capacity(400'000);
  int n = 0;
  std::optional<Error> error;
  while (!error && n < 1000) {
    auto done = commit(**store, model_txn(1, n + 1));
    if (done)
      ++n;
    else
      error = done.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->sys_errno, ENOSPC);
  EXPECT_NE(error->text().find("/disk/store.db"), std::string::npos) << error->text();
  EXPECT_NE(error->hint.find("free space"), std::string::npos);
  model.advance_to(n);
  EXPECT_EQ(model.differs(**store), "");
  disk.set_capacity(-1);
  for (int i = 0; i < 50; ++i, ++n) ASSERT_TRUE(commit(**store, model_txn(1, n + 1)));
  model.advance_to(n);
  EXPECT_EQ(model.differs(**store), "");
  store->reset();
  auto again = open_on_fault_disk();
  ASSERT_TRUE(again);
  EXPECT_EQ(model.differs(**again), "");
}

}  // namespace
}  // namespace lab::store
