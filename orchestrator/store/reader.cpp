#include "orchestrator/store/reader.h"

#include <atomic>

namespace lab::store {

namespace {
constexpr std::size_t kTxnsPerStep = 512;
constexpr std::size_t kEventsPerStep = 1024;
}  // namespace

// `mutex` is held while the callback runs; that is how the handle's destructor waits for it.
struct WatchState {
  std::string start, end;
  std::mutex mutex;
  std::atomic<std::thread::id> calling{};
  bool closed = false;
  Revision position = 0;
  Store::WatchFn fn;

  bool matches(const std::string& key) const { return key >= start && (end.empty() || key < end); }
  // With `mutex` held.
  void call(Result<WatchBatch> batch) {
    calling = std::this_thread::get_id();
    fn(std::move(batch));
    calling = std::thread::id();
  }
};

namespace {

class WatchHandle final : public Watch {
 public:
  explicit WatchHandle(std::shared_ptr<WatchState> state) : state_(std::move(state)) {}
  ~WatchHandle() override {
    if (state_->calling.load() == std::this_thread::get_id()) {  // from inside its own callback
      state_->closed = true;
      return;
    }
    Store::WatchFn dropped;  // destroyed after the lock is gone
    std::lock_guard lock(state_->mutex);
    state_->closed = true;
    std::swap(dropped, state_->fn);
  }

 private:
  std::shared_ptr<WatchState> state_;
};

}  // namespace

Reader::Reader(History history, std::size_t ring_bytes, Revision now)
    : history_(std::move(history)), ring_(ring_bytes, now), thread_([this] { run(); }) {}

Reader::~Reader() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Reader::publish(std::vector<TxnEventsPtr> txns) {
  {
    std::lock_guard lock(mutex_);
    for (auto& txn : txns) ring_.push(std::move(txn));
    behind_ = true;
  }
  wake_.notify_one();
}

void Reader::range(RangeRequest request, Store::RangeDone done) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(request), std::move(done)});
  }
  wake_.notify_one();
}

std::unique_ptr<Watch> Reader::watch(std::string start, std::string end, Revision after, Store::WatchFn fn) {
  auto state = std::make_shared<WatchState>();
  state->start = std::move(start);
  state->end = std::move(end);
  state->position = after;
  state->fn = std::move(fn);
  {
    std::lock_guard lock(mutex_);
    watches_.push_back(state);
    behind_ = true;
  }
  wake_.notify_one();
  return std::make_unique<WatchHandle>(std::move(state));
}

void Reader::run() {
  for (;;) {
    std::optional<Job> job;
    std::vector<std::shared_ptr<WatchState>> watches;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || behind_ || !jobs_.empty(); });
      if (stopping_ && jobs_.empty()) return;
      if (!jobs_.empty()) {
        job.emplace(std::move(jobs_.front()));
        jobs_.pop_front();
      }
      std::erase_if(watches_, [](const auto& w) { return w.use_count() == 1; });  // its handle is gone
      if (behind_ && !stopping_) watches = watches_;
      behind_ = false;
    }
    if (job) job->done(history_.range(job->request));
    bool behind = false;
    for (auto& watch : watches) behind |= advance(*watch);
    if (behind) {
      std::lock_guard lock(mutex_);
      behind_ = true;
    }
  }
}

bool Reader::advance(WatchState& watch) {
  std::lock_guard lock(watch.mutex);
  if (watch.closed) return false;
  Revision newest = 0;
  auto page = next_page(watch, newest);
  if (!page) {
    watch.closed = true;
    watch.call(std::unexpected(std::move(page).error()));
    return false;
  }
  watch.position = page->position;
  if (!page->events.empty()) watch.call(std::move(page->events));
  return !watch.closed && watch.position < newest;
}

Result<HistoryPage> Reader::next_page(const WatchState& watch, Revision& newest) {
  std::optional<std::vector<TxnEventsPtr>> txns;
  {
    std::lock_guard lock(mutex_);
    newest = ring_.newest();
    txns = ring_.after(watch.position, kTxnsPerStep);
  }
  if (!txns) return history_.events(watch.start, watch.end, watch.position, kEventsPerStep);
  HistoryPage out{.position = txns->empty() ? watch.position : txns->back()->revision};
  for (const auto& txn : *txns)
    for (const auto& event : txn->events)
      if (watch.matches(event.current.key)) out.events.push_back(event);
  return out;
}

}  // namespace lab::store
