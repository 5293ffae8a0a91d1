// What the service proxy costs with few and with many services of ten endpoints each: loading the table, changing one
// endpoint, and the first packet of a connection. Needs root. Usage: proxy_bench [SERVICES...]
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "orchestrator/proxy/executor.h"
#include "tests/netns/support/sandbox.h"

namespace lab::proxy {
namespace {

using test::must;
using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}
double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

sockaddr_in socket_address(const IpAddress& ip, std::uint16_t port) {
  sockaddr_in a{.sin_family = AF_INET, .sin_port = htons(port)};
  a.sin_addr.s_addr = htonl(ip.v4_value());
  return a;
}

const IpAddress kHere = *IpAddress::parse("192.168.77.1");

// Accepts and closes until told to stop.
struct Sink {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  std::uint16_t port = 0;
  std::atomic<bool> stop = false;
  std::thread thread;
  Sink() {
    auto a = socket_address(kHere, 0);
    socklen_t size = sizeof a;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&a), size) || ::listen(fd, 512) ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size)) {
      std::abort();
    }
    port = ntohs(a.sin_port);
    thread = std::thread([this] {
      while (!stop) {
        pollfd p{fd, POLLIN, 0};
        if (::poll(&p, 1, 50) > 0) ::close(::accept(fd, nullptr, nullptr));
      }
    });
  }
  ~Sink() {
    stop = true;
    thread.join();
    ::close(fd);
  }
};

double connect_milliseconds(const IpAddress& ip, std::uint16_t port) {
  std::vector<double> took;
  for (int i = 0; i < 1000; ++i) {
    int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    auto a = socket_address(ip, port);
    auto start = Clock::now();
    if (::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a)) std::perror("connect");
    took.push_back(milliseconds(start));
    ::close(fd);
  }
  return median(took);
}

ServiceRules service(unsigned number, unsigned endpoints, Target real) {
  auto ip = IpAddress::v4(0x0a600000u + 16 + number);
  Frontend f{.key = {Space::kAddress, ip, Protocol::kTcp, 80}};
  if (number == 0) {
    f.targets = {real};
  } else {
    for (unsigned i = 0; i < endpoints; ++i)
      f.targets.push_back({IpAddress::v4(0x0af40000u + (number * 16 + i) % 60000), 8080});
  }
  return {{f}, {ip}, {}, {}};
}

Result<void> measure(unsigned services) {
  Sink sink;
  LAB_TRY(auto executor, Executor::open(*Cidr::parse("10.96.0.0/12")));
  LAB_CHECK(executor.prepare());
  Ruleset rules({*Cidr::parse("10.244.0.0/16")});
  for (unsigned i = 0; i < services; ++i) rules.update("s" + std::to_string(i), service(i, 10, {kHere, sink.port}));
  auto start = Clock::now();
  LAB_CHECK(executor.run(rules.full_script()));
  double load = milliseconds(start);
  // What a proxy does that starts and finds all of it right.
  start = Clock::now();
  LAB_TRY(auto kernel, executor.list());
  LAB_CHECK(executor.run(rules.converge_script(kernel.value_or(Listing{}))));
  double again = milliseconds(start);
  double through = connect_milliseconds(IpAddress::v4(0x0a600000u + 16), 80),
         direct = connect_milliseconds(kHere, sink.port);
  std::vector<double> changes;
  std::size_t elements = 0;
  for (unsigned i = 0; i < 20; ++i) {
    auto change = rules.update("s1", service(1, 10 - i % 2, {}));
    elements = std::max(elements, change.elements);
    start = Clock::now();
    LAB_CHECK(executor.run(change.script));
    changes.push_back(milliseconds(start));
  }
  std::printf(
      "%6u services: table loaded in %8.1f ms, found right in %8.1f ms; one endpoint changed in %6.2f ms (%zu elements); connect %.1f us, "
      "without the service %.1f us\n",
      services, load, again, median(changes), elements, through * 1000, direct * 1000);
  std::fflush(stdout);
  return Executor::clean_up();
}

}  // namespace
}  // namespace lab::proxy

int main(int argc, char** argv) {
  lab::test::Sandbox box;
  box.add("wire");
  lab::test::must(lab::test::must(lab::Netlink::open_in(box.ns("wire"))).create_bridge({.name = "br0", .up = true}));
  box.add("n");
  box.plug("n", "eth0", "192.168.77.1/24", "wire", "br0");
  std::vector<unsigned> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(unsigned(std::atoi(argv[i])));
  if (sizes.empty()) sizes = {10, 100, 1000, 5000};
  for (auto size : sizes) {
    auto done = lab::in_netns(box.ns("n"), [&] { return lab::proxy::measure(size); });
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().text().c_str());
      return 1;
    }
  }
}
