#include "tests/contract/store/backend.h"

#include <filesystem>

#include "tests/contract/store/etcd_fixture.h"

namespace lab::store {

std::vector<Backend> backends() {
  return {{"embedded",
           [](const std::string& directory, StoreTuning tuning) {
             return open_embedded(
                 {.path = directory + "/store.db", .history_bytes = tuning.history_bytes, .history = tuning.history});
           }},
          {"etcd", open_etcd_in, /*in_order=*/false},
          {"etcd35", open_etcd35_in, /*in_order=*/false}};
}

TempDir::TempDir() {
  auto pattern = (std::filesystem::temp_directory_path() / "lab-store-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}
TempDir::~TempDir() {
  end_etcd_of(path_);
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Bytes bytes(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}
Change put(std::string key, std::string value, std::optional<Revision> expect) {
  return {std::move(key), bytes(std::move(value)), expect};
}
Change del(std::string key, std::optional<Revision> expect) {
  return {std::move(key), nullptr, expect};
}

namespace {
template <class T, class F>
Result<T> wait_for(F call) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  call([promise](Result<T> r) { promise->set_value(std::move(r)); });
  if (future.wait_for(std::chrono::minutes(1)) != std::future_status::ready)
    return fail(Code::kTimeout, "the store did not answer within a minute");
  return future.get();
}
}  // namespace

Result<Committed> commit(Store& store, Txn txn) {
  return wait_for<Committed>([&](auto done) { store.commit(std::move(txn), std::move(done)); });
}
Result<Committed> commit(Store& store, std::vector<Change> changes) {
  return commit(store, Txn{.changes = std::move(changes)});
}
Result<RangeResult> range(Store& store, RangeRequest request) {
  return wait_for<RangeResult>([&](auto done) { store.range(std::move(request), std::move(done)); });
}
Result<RangeResult> range_prefix(Store& store, std::string prefix, Revision revision, std::size_t limit) {
  std::string end = prefix_end(prefix);
  return range(store, {.start = std::move(prefix), .end = std::move(end), .revision = revision, .limit = limit});
}
Result<Committed> compact(Store& store, Revision before) {
  return wait_for<Committed>([&](auto done) { store.compact(before, std::move(done)); });
}

Store::WatchFn Collector::callback() {
  return [state = state_](Result<WatchBatch> batch) {
    std::lock_guard lock(state->mutex);
    if (state->error) ++state->calls_after_error;
    if (batch)
      for (auto& event : *batch) state->events.push_back(std::move(event));
    else
      state->error = std::move(batch).error();
    state->changed.notify_all();
  };
}

std::vector<Event> Collector::wait_events(std::size_t n) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, std::chrono::minutes(1),
                           [&] { return state_->events.size() >= n || state_->error.has_value(); });
  EXPECT_EQ(state_->calls_after_error, 0);
  return state_->events;
}

std::optional<Error> Collector::wait_error() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, std::chrono::minutes(1), [&] { return state_->error.has_value(); });
  return state_->error;
}

std::vector<Event> Collector::events() {
  std::lock_guard lock(state_->mutex);
  return state_->events;
}

}  // namespace lab::store
