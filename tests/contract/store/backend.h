// What the contract suite needs from an implementation, and the fixture with blocking helpers.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "orchestrator/store/store.h"

namespace lab::store {

struct StoreTuning {
  std::size_t history_bytes = 32 << 20;
  std::chrono::seconds history{300};
};

// One implementation: keeps its data in `directory`, so that opening there again finds it.
struct Backend {
  std::string name;
  std::function<Result<std::unique_ptr<Store>>(const std::string& directory, StoreTuning tuning)> open;
  bool in_order = true;  // commits in flight together are made in the order in which they were asked for
};
std::vector<Backend> backends();

// A directory that is removed with all that is in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Bytes bytes(std::string text);
Change put(std::string key, std::string value, std::optional<Revision> expect = {});
Change del(std::string key, std::optional<Revision> expect = {});

// The calls, waiting for their answer.
Result<Committed> commit(Store& store, Txn txn);
Result<Committed> commit(Store& store, std::vector<Change> changes);
Result<RangeResult> range(Store& store, RangeRequest request);
Result<RangeResult> range_prefix(Store& store, std::string prefix, Revision revision = 0, std::size_t limit = 0);
Result<Committed> compact(Store& store, Revision before);

// Collects what a watch delivers.
class Collector {
 public:
  Store::WatchFn callback();
  // Waits (up to a minute) until there are n events, or the watch has failed.
  std::vector<Event> wait_events(std::size_t n);
  std::optional<Error> wait_error();
  std::vector<Event> events();

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Event> events;
    std::optional<Error> error;
    int calls_after_error = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class StoreContract : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override { reopen(); }
  void reopen(StoreTuning tuning = {}) {
    store.reset();
    auto opened = GetParam().open(dir.path(), tuning);
    ASSERT_TRUE(opened) << opened.error().text();
    store = std::move(*opened);
  }
  // Puts one key and returns the revision.
  Revision put1(std::string key, std::string value) {
    auto done = commit(*store, {put(std::move(key), std::move(value))});
    EXPECT_TRUE(done) << done.error().text();
    return done ? done->revision : 0;
  }

  TempDir dir;
  std::unique_ptr<Store> store;
};

inline std::string backend_name(const ::testing::TestParamInfo<Backend>& info) {
  return info.param.name;
}

}  // namespace lab::store
