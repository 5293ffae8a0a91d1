#include "cli/daemon.h"

#include <signal.h>

#include <future>

#include "base/io/scope.h"

namespace lab::cli {

namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
  return set;
}

}  // namespace

void block_stop_signals() {
  auto set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void wait_for_stop(const std::function<void()>& on_hangup) {
  auto set = stop_signals();
  while (true) {
    int signal = 0;
    if (::sigwait(&set, &signal) != 0) continue;
    if (signal != SIGHUP) return;
    if (on_hangup) on_hangup();
  }
}

void on_loop(Loop& loop, std::function<void()> f) {
  std::promise<void> done;
  loop.post([&] {
    f();
    done.set_value();
  });
  done.get_future().wait();
}

void await_on(Loop& loop, std::function<Task<void>()> make) {
  std::promise<void> done;
  Scope scope(loop);
  scope.spawn("await", [&]() -> Task<void> {
    co_await make();
    Loop::current()->post([&] { done.set_value(); });
  });
  done.get_future().wait();
}

}  // namespace lab::cli
