#include "orchestrator/scheduler/scheduler.h"

#include "base/log.h"
#include "orchestrator/scheduler/scheduler_impl.h"

namespace lab::scheduler {

namespace {

constexpr Duration kSlice = std::chrono::milliseconds(4);  // of work before others get the loop
constexpr Duration kIdleWait = std::chrono::seconds(30);

// Lets the loop do what else is due.
struct Yield {
  Loop& loop;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> h) {
    loop.post([h] { h.resume(); });
  }
  void await_resume() {}
};

}  // namespace

Scheduler::Scheduler(client::Client& client, Loop& loop, Options options)
    : impl_(std::make_unique<Impl>(client, loop, std::move(options))) {}
Scheduler::~Scheduler() = default;
Task<void> Scheduler::run(std::stop_token stop) {
  return impl_->run(stop);
}
bool Scheduler::synced() const {
  return impl_->synced;
}

Stats Scheduler::stats() const {
  Stats out = impl_->stats;
  auto sizes = impl_->queue.sizes();
  out.active = sizes.active;
  out.backoff = sizes.backoff;
  out.unschedulable = sizes.unschedulable;
  return out;
}

Scheduler::Impl::Impl(client::Client& c, Loop& l, Options o)
    : client(c), loop(l), options(std::move(o)), scope(l), cluster(c), recorder(c, scope, options.name) {
  world = cluster.surroundings([this](const std::string& image) { return cache.nodes_with_image(image); });
  watch_cluster();
}

Task<void> Scheduler::Impl::run(std::stop_token stop) {
  cluster.start(scope);
  synced = co_await cluster.wait_synced(stop);
  if (synced) log::info("scheduler started", {{"name", options.name}, {"nodes", cache.nodes().size()}});
  TimePoint slice = loop.now();
  while (!stop.stop_requested()) {
    queue.advance(loop.now());
    if (stats.binding >= static_cast<std::size_t>(options.max_binding)) {
      co_await wake.wait(stop);
      continue;
    }
    auto next = queue.pop();
    if (!next) {
      co_await wait_for_work(stop);
      slice = loop.now();
      continue;
    }
    schedule_one(std::move(*next));
    if (loop.now() - slice < kSlice) continue;
    co_await Yield{loop};
    slice = loop.now();
  }
  synced = false;
  co_await scope.close();
}

Task<void> Scheduler::Impl::wait_for_work(std::stop_token stop) {
  Duration wait = kIdleWait;
  if (auto due = queue.next_due()) wait = std::min(wait, std::max(Duration::zero(), *due - loop.now()));
  co_await wake.wait_for(wait, stop);
}

void Scheduler::Impl::schedule_one(QueuedPod queued) {
  PodInfoPtr pod = queued.pod;
  Cycle cycle(*pod, cache.nodes(), world);
  auto placement = algorithm.place(cycle, nominations);
  if (placement.node) {
    std::string node = placement.node->name();
    nominations.remove(pod->key);
    cache.assume(on_node(*pod, node));
    ++stats.binding;
    scope.start("bind", bind(std::move(queued), node, std::move(cycle.volumes.to_provision)));
    return;
  }
  ++stats.unschedulable_attempts;
  std::string nominated;
  if (placement.why.all_nodes > 0) nominated = preempt(cycle, placement.why);
  report_failure(*pod, "Unschedulable", placement.why.text(), nominated);
  queue.fail(std::move(queued), placement.why.retry_on, loop.now());
}

}  // namespace lab::scheduler
