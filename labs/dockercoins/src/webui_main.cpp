// webui: the page with the mining speed, and /json with the numbers behind it.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "labs/dockercoins/src/page.h"
#include "labs/dockercoins/src/redis.h"

namespace {

std::string numbers() {
  coins::Redis redis("redis");
  auto coins_found = redis.call({"HLEN", "wallet"});
  auto hashes = redis.call({"GET", "hashes"});
  double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", now);
  return "{\"coins\":" + coins_found.value_or("0") + ",\"hashes\":" + (hashes ? "\"" + *hashes + "\"" : "null") +
         ",\"now\":" + text + "}";
}

coins::Response handle(const coins::Request& request) {
  const std::string path = request.path.substr(0, request.path.find('?'));
  if (path == "/") return {.status = 302, .body = "", .location = "/index.html"};
  if (path == "/index.html") return {.type = "text/html; charset=utf-8", .body = coins::kPage};
  if (path != "/json") return {.status = 404, .body = "not found\n"};
  try {
    return {.type = "application/json", .body = numbers()};
  } catch (const std::exception& e) {
    coins::log_line(e.what());
    return {.status = 500, .body = std::string(e.what()) + "\n"};
  }
}

}  // namespace

int main(int argc, char** argv) { coins::serve(argc > 1 ? std::atoi(argv[1]) : 80, true, handle); }
