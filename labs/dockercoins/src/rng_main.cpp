// rng: random bytes, one request at a time. That is the application's bottleneck, and the lesson's.
#include <sys/random.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "labs/dockercoins/src/net.h"

namespace {

constexpr auto kWork = std::chrono::milliseconds(100);
constexpr long kMostBytes = 1 << 20;

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  for (std::size_t have = 0; have < count;) {
    ssize_t n = getrandom(out.data() + have, count - have, 0);
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  return out;
}

coins::Response handle(const coins::Request& request) {
  if (request.path == "/") return {.body = "RNG running on " + coins::host_name() + "\n"};
  char* end = nullptr;
  long count = std::strtol(request.path.c_str() + 1, &end, 10);
  if (*end != '\0' || count < 0 || count > kMostBytes) return {.status = 404, .body = "give a number of bytes, as in /32\n"};
  std::this_thread::sleep_for(kWork);
  return {.type = "application/octet-stream", .body = random_bytes(static_cast<std::size_t>(count))};
}

}  // namespace

int main(int argc, char** argv) { coins::serve(argc > 1 ? std::atoi(argv[1]) : 80, false, handle); }
