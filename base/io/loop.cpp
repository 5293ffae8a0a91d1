#include "base/io/loop.h"

#include <pthread.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <unordered_map>

#include "base/io/oneshot.h"

namespace lab {

namespace asio = boost::asio;

namespace {
thread_local Loop* tls_current = nullptr;
}

Loop* Loop::current() {
  return tls_current;
}
void Loop::set_current(Loop* loop) {
  tls_current = loop;
}

struct EventLoop::Impl {
  Impl() : context(std::make_unique<asio::io_context>(1)), work(context->get_executor()) {}
  std::unique_ptr<asio::io_context> context;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::atomic<bool> closing = false;
  std::mutex mutex;  // guards next_id and timers: call_at may come from any thread
  TimerId next_id = 1;
  std::unordered_map<TimerId, asio::steady_timer> timers;
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() {
  // Pending functions may own objects that cancel timers or post while they are destroyed: impl_ must still stand then.
  auto* before = Loop::current();
  set_current(this);
  impl_->closing = true;
  {
    std::unordered_map<TimerId, asio::steady_timer> timers;
    std::lock_guard lock(impl_->mutex);
    timers.swap(impl_->timers);
  }
  impl_->work.reset();
  delete impl_->context.get();  // not reset(): it would clear the pointer first
  impl_->context.release();
  set_current(before);
}

void EventLoop::run() {
  set_current(this);
  impl_->context->run();
  set_current(nullptr);
}

void EventLoop::stop() {
  impl_->context->stop();
}

void EventLoop::post(Function f) {
  if (!impl_->closing) asio::post(*impl_->context, std::move(f));
}

Loop::TimerId EventLoop::call_at(TimePoint when, Function f) {
  if (impl_->closing) return 0;
  std::lock_guard lock(impl_->mutex);
  TimerId id = impl_->next_id++;
  auto [it, made] = impl_->timers.emplace(id, asio::steady_timer(*impl_->context, when));
  it->second.async_wait([this, id, f = std::move(f)](const boost::system::error_code& ec) mutable {
    bool live;
    {
      std::lock_guard inner(impl_->mutex);
      live = impl_->timers.erase(id) > 0;
    }
    // A timer that fired and was cancelled before its turn came must not run: what it captured may be gone.
    if (!ec && live) f();
  });
  return id;
}

void EventLoop::cancel_timer(TimerId id) {
  std::unordered_map<TimerId, asio::steady_timer>::node_type node;
  std::lock_guard lock(impl_->mutex);
  node = impl_->timers.extract(id);
}

TimePoint EventLoop::now() const {
  return std::chrono::steady_clock::now();
}
WallTime EventLoop::wall() const {
  return std::chrono::system_clock::now();
}
void* EventLoop::native() {
  return impl_->context.get();
}

LoopThread::LoopThread(std::string name) : loop_(std::make_unique<EventLoop>()) {
  thread_ = std::thread([this] { loop_->run(); });
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

LoopThread::~LoopThread() {
  loop_->stop();
  thread_.join();
}

Task<bool> sleep_for(Duration d, std::stop_token stop) {
  Loop& loop = *Loop::current();
  if (stop.stop_requested()) co_return false;
  OneShot<bool> woken;
  auto timer = loop.call_at(loop.now() + d, [woken]() mutable { woken.set(true); });
  std::stop_callback on_stop(stop, [woken]() mutable { woken.set(false); });
  bool full = co_await woken.wait();
  if (!full) loop.cancel_timer(timer);
  co_return full;
}

}  // namespace lab
