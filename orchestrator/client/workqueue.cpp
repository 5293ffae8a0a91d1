#include <algorithm>
#include <deque>
#include <unordered_set>

#include "base/log.h"
#include "orchestrator/client/informer.h"

namespace lab::client {

namespace {
constexpr Duration kBaseDelay = std::chrono::milliseconds(5);
constexpr Duration kMaxDelay = std::chrono::seconds(30);
}  // namespace

struct WorkQueue::Impl {
  explicit Impl(Loop& l) : loop(l) {}
  struct Delayed {
    Loop::TimerId timer;
    TimePoint due;
  };
  Loop& loop;
  std::deque<std::string> ready;
  std::unordered_set<std::string> dirty;  // wants work: waiting in `ready`, or to be queued again by done()
  std::unordered_set<std::string> working;
  std::unordered_map<std::string, int> failures;
  std::unordered_map<std::string, Delayed> delayed;
  std::deque<OneShot<bool>> waiters;

  void wake_one() {
    if (waiters.empty()) return;
    auto waiter = waiters.front();
    waiters.pop_front();
    waiter.set(true);
  }

  void add(const std::string& key) {
    if (!dirty.insert(key).second || working.contains(key)) return;
    ready.push_back(key);
    wake_one();
  }
};

WorkQueue::WorkQueue(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}

void WorkQueue::add(const std::string& key) {
  impl_->add(key);
}

void WorkQueue::add_after(const std::string& key, Duration delay) {
  if (delay <= Duration::zero()) return impl_->add(key);
  TimePoint due = impl_->loop.now() + delay;
  if (auto it = impl_->delayed.find(key); it != impl_->delayed.end()) {
    if (it->second.due <= due) return;
    impl_->loop.cancel_timer(it->second.timer);
    impl_->delayed.erase(it);
  }
  auto timer = impl_->loop.call_at(due, [weak = std::weak_ptr(impl_), key] {
    if (auto impl = weak.lock()) {
      impl->delayed.erase(key);
      impl->add(key);
    }
  });
  impl_->delayed.emplace(key, Impl::Delayed{timer, due});
}

void WorkQueue::add_rate_limited(const std::string& key) {
  int failures = impl_->failures[key]++;
  Duration delay = failures >= 13 ? kMaxDelay : std::min(kBaseDelay * (1 << failures), kMaxDelay);
  add_after(key, delay);
}

void WorkQueue::forget(const std::string& key) {
  impl_->failures.erase(key);
}

int WorkQueue::failures(const std::string& key) const {
  auto it = impl_->failures.find(key);
  return it == impl_->failures.end() ? 0 : it->second;
}

Task<std::optional<std::string>> WorkQueue::get(std::stop_token stop) {
  auto impl = impl_;
  while (impl->ready.empty() || stop.stop_requested()) {
    if (stop.stop_requested()) {
      // A wake-up that this one swallowed belongs to the next waiter.
      if (!impl->ready.empty()) impl->wake_one();
      co_return std::nullopt;
    }
    OneShot<bool> signal;
    impl->waiters.push_back(signal);
    std::stop_callback on_stop(stop, [signal]() mutable { signal.set(false); });
    if (!co_await signal.wait()) std::erase_if(impl->waiters, [&](const auto& w) { return w.same(signal); });
  }
  std::optional<std::string> key(std::move(impl->ready.front()));
  impl->ready.pop_front();
  impl->dirty.erase(*key);
  impl->working.insert(*key);
  co_return key;
}

void WorkQueue::done(const std::string& key) {
  impl_->working.erase(key);
  if (!impl_->dirty.contains(key)) return;
  impl_->ready.push_back(key);
  impl_->wake_one();
}

std::size_t WorkQueue::size() const {
  return impl_->ready.size();
}

namespace {

using Reconcile = std::function<Task<Result<void>>(std::string)>;

void report(const std::string& name, const std::string& key, const Error& error, int failures) {
  // Conflicts are how optimistic concurrency works; the retry reads the newer object.
  if (error.code == Code::kConflict && failures < 3)
    log::debug("reconcile again after a conflict", {{"controller", name}, {"key", key}});
  else
    log::warn("reconcile failed; it will be tried again",
              {{"controller", name}, {"key", key}, {"failures", failures + 1}, {"why", error.text()}});
}

Task<void> work(const std::string& name, WorkQueue& queue, const Reconcile& reconcile, std::stop_token stop) {
  for (;;) {
    auto key = co_await queue.get(stop);
    if (!key) co_return;
    Result<void> outcome;
    try {
      outcome = co_await reconcile(*key);
    } catch (const std::exception& e) {
      // A bug about one object must not end the work on all others.
      outcome = fail(Code::kInternal, std::string("bug: exception: ") + e.what());
    }
    if (outcome) {
      queue.forget(*key);
    } else {
      report(name, *key, outcome.error(), queue.failures(*key));
      queue.add_rate_limited(*key);
    }
    queue.done(*key);
  }
}

}  // namespace

Task<void> run_workers(std::string name, WorkQueue& queue, int workers, Reconcile reconcile, std::stop_token stop) {
  Scope scope(*Loop::current());
  for (int i = 0; i < workers; ++i) scope.spawn(name, work(name, queue, reconcile, stop));
  co_await scope.close();
}

}  // namespace lab::client
