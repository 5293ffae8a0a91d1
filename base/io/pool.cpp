#include "base/io/pool.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace lab {

struct Pool::Impl {
  std::string name;
  int limit;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::move_only_function<void()>> queue;
  std::vector<std::thread> threads;
  int idle = 0;
  bool closing = false;

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      wake.wait(lock, [&] { return closing || !queue.empty(); });
      --idle;
      if (queue.empty()) return;
      auto job = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }
};

Pool::Pool(std::string name, int threads) : impl_(std::make_unique<Impl>()) {
  impl_->name = name.substr(0, 15);
  impl_->limit = threads;
}

Pool::~Pool() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->wake.notify_all();
  for (auto& t : impl_->threads) t.join();
}

void Pool::submit(std::move_only_function<void()> work) {
  std::lock_guard lock(impl_->mutex);
  impl_->queue.push_back(std::move(work));
  if (static_cast<std::size_t>(impl_->idle) < impl_->queue.size() &&
      static_cast<int>(impl_->threads.size()) < impl_->limit) {
    impl_->threads.emplace_back([this] { impl_->work(); });
    pthread_setname_np(impl_->threads.back().native_handle(), impl_->name.c_str());
  }
  impl_->wake.notify_one();
}

}  // namespace lab
