// store_bench [DIRECTORY] [SECONDS]: commits per second beside the directory's own syncs per second.
//
// The ratio is what counts: with one commit in flight each costs a sync; with more they share syncs.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "orchestrator/store/store.h"

namespace {

using Clock = std::chrono::steady_clock;
using namespace lab::store;

double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

// Appends a page and syncs, one after the other: what a log cannot be faster than.
double raw_syncs(const std::string& path, double seconds) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return 0;
  std::string page(4096, 'x');
  auto start = Clock::now();
  long n = 0;
  for (; seconds_since(start) < seconds; ++n)
    if (::write(fd, page.data(), page.size()) < 0 || ::fdatasync(fd) != 0) break;
  double took = seconds_since(start);
  ::close(fd);
  ::unlink(path.c_str());
  return n / took;
}

struct Figures {
  double per_second, p50_us, p99_us;
};

Figures commits(Store& store, int in_flight, std::size_t value_bytes, double seconds) {
  std::mutex mutex;
  std::condition_variable changed;
  int flying = 0;
  long done = 0, next = 0;
  std::vector<double> latencies;
  auto value = std::make_shared<const std::string>(value_bytes, 'v');
  auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return flying < in_flight; });
      ++flying;
    }
    auto sent = Clock::now();
    std::string key = "/registry/pods/default/pod-" + std::to_string(next++ % 1000);
    store.commit({.changes = {{std::move(key), value, {}}}}, [&, sent](lab::Result<Committed> r) {
      if (!r) std::fprintf(stderr, "%s\n", r.error().text().c_str()), std::exit(1);
      std::lock_guard lock(mutex);
      --flying;
      ++done;
      latencies.push_back(seconds_since(sent) * 1e6);
      changed.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return flying == 0; });
  double took = seconds_since(start);
  std::sort(latencies.begin(), latencies.end());
  return {done / took, latencies[latencies.size() / 2], latencies[latencies.size() * 99 / 100]};
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = argc > 1 ? argv[1] : ".";
  double seconds = argc > 2 ? std::atof(argv[2]) : 2;
  std::string path = directory + "/store-bench.db";
  auto remove = [&] {
    for (const char* suffix : {"", "-wal", "-shm", ".lock"}) ::unlink((path + suffix).c_str());
  };
  remove();
  double raw = raw_syncs(directory + "/store-bench.raw", seconds);
  std::printf("%-34s %10.0f /s\n", "write 4 KiB + fdatasync", raw);
  {
    auto store = open_embedded({.path = path});
    if (!store) {
      std::fprintf(stderr, "%s\n", store.error().text().c_str());
      return 1;
    }
    for (std::size_t bytes : {std::size_t{1024}, std::size_t{8192}})
      for (int in_flight : {1, 32, 256}) {
        auto got = commits(**store, in_flight, bytes, seconds);
        std::printf("commits, %zu KiB, %3d in flight %14.0f /s   %5.2f x raw   p50 %6.0f us  p99 %6.0f us\n",
                    bytes / 1024, in_flight, got.per_second, got.per_second / raw, got.p50_us, got.p99_us);
      }
  }
  remove();
}
