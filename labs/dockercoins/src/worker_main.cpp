// worker: fetches random bytes, has them hashed, and counts; a hash that begins with 0 is a coin.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "labs/dockercoins/src/redis.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr auto kReportEvery = std::chrono::seconds(1);
constexpr auto kRestartAfter = std::chrono::seconds(10);

void work_once(coins::Redis& redis) {
  std::this_thread::sleep_for(kPause);
  std::string bytes = coins::http("GET", "rng", 80, "/32");
  std::string hex = coins::http("POST", "hasher", 80, "/", bytes);
  if (hex.empty() || hex[0] != '0') return;
  coins::log_line("Coin found: " + hex.substr(0, 8) + "...");
  if (redis.call({"HSET", "wallet", hex, bytes}) == "0") coins::log_line("We already had that coin");
}

[[noreturn]] void mine() {
  coins::Redis redis("redis");
  auto report_at = Clock::now() + kReportEvery;
  long done = 0;
  while (true) {
    if (Clock::now() >= report_at) {
      coins::log_line(std::to_string(done) + " units of work done, updating hash counter");
      redis.call({"INCRBY", "hashes", std::to_string(done)});
      done = 0;
      report_at = Clock::now() + kReportEvery;
    }
    work_once(redis);
    ++done;
  }
}

}  // namespace

int main() {
  signal(SIGTERM, [](int) { _exit(0); });
  signal(SIGINT, [](int) { _exit(0); });
  while (true) {
    try {
      mine();
    } catch (const std::exception& e) {
      coins::log_line(std::string("In work loop: ") + e.what());
      coins::log_line("Waiting 10s and restarting.");
      std::this_thread::sleep_for(kRestartAfter);
    }
  }
}
