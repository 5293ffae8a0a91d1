// What every daemon command shares: stopping on signals.
#pragma once

#include <functional>

#include "base/io/loop.h"

namespace lab::cli {

// Blocks SIGTERM, SIGINT and SIGHUP in this thread and those made after it. Called before any thread is made.
void block_stop_signals();
// Waits for SIGTERM or SIGINT (true), or calls on_hangup for each SIGHUP.
void wait_for_stop(const std::function<void()>& on_hangup = {});
// Runs f on the loop's thread and waits for it.
void on_loop(Loop& loop, std::function<void()> f);
// Runs a task on the loop and waits for its end.
void await_on(Loop& loop, std::function<Task<void>()> make);

}  // namespace lab::cli
