#include "overlay-net/status/reach.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <vector>

namespace lab::overlay {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr unsigned kHeads = 28;  // IP and ICMP
constexpr int kAttempts = 3;

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

Result<sockaddr_in> address_of(const std::string& text, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  if (::inet_pton(AF_INET, text.c_str(), &out.sin_addr) != 1)
    return fail(Code::kInvalid, "\"" + text + "\" is no IPv4 address");
  return out;
}

std::uint16_t checksum(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 ? 0 : 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::vector<std::uint8_t> echo_request(unsigned bytes, std::uint16_t id, std::uint16_t number) {
  std::vector<std::uint8_t> out(std::max(bytes, kHeads) - kHeads + 8, 0x5a);
  const std::uint8_t head[8] = {
      ICMP_ECHO, 0, 0, 0, std::uint8_t(id >> 8), std::uint8_t(id), std::uint8_t(number >> 8), std::uint8_t(number)};
  std::copy(std::begin(head), std::end(head), out.begin());
  auto sum = checksum(out);
  out[2] = static_cast<std::uint8_t>(sum >> 8);
  out[3] = static_cast<std::uint8_t>(sum);
  return out;
}

// Reads until the reply of this id comes. False when the time is up.
bool await_reply(int fd, std::uint16_t id, Clock::time_point until) {
  std::vector<std::uint8_t> in(65536);
  while (true) {
    auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
    pollfd p{.fd = fd, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) return false;
    auto n = ::recv(fd, in.data(), in.size(), 0);
    if (n < 20) continue;
    std::size_t head = (in[0] & 15) * 4u;
    if (static_cast<std::size_t>(n) < head + 8) continue;
    if (in[head] == ICMP_ECHOREPLY && (in[head + 4] << 8 | in[head + 5]) == id) return true;
  }
}

}  // namespace

Result<microseconds> ping(const std::string& address, unsigned bytes, milliseconds limit) {
  LAB_TRY(auto to, address_of(address, 0));
  Socket s{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)};
  if (s.fd < 0) return fail_errno("cannot make a raw socket", "run as root");
  int whole = IP_PMTUDISC_PROBE;  // never cut, and whatever was learnt of the path before does not count
  ::setsockopt(s.fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole);
  auto id = static_cast<std::uint16_t>(std::random_device{}());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto request = echo_request(bytes, id, static_cast<std::uint16_t>(attempt));
    auto start = Clock::now();
    if (::sendto(s.fd, request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
      if (errno == EMSGSIZE)
        return fail(Code::kTooLarge, "this host's device takes no packet of " + std::to_string(bytes) + " bytes");
      return fail_errno("no way to " + address);
    }
    if (await_reply(s.fd, id, start + limit / kAttempts))
      return std::chrono::duration_cast<microseconds>(Clock::now() - start);
  }
  return fail(Code::kTimeout, address + " does not answer");
}

Result<microseconds> tcp_connect(const std::string& address, std::uint16_t port, milliseconds limit) {
  LAB_TRY(auto to, address_of(address, port));
  Socket s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (s.fd < 0) return fail_errno("cannot make a socket");
  const auto what = "connect " + address + ":" + std::to_string(port);
  auto start = Clock::now();
  if (::connect(s.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    if (errno != EINPROGRESS) return fail_errno(what);
    pollfd p{.fd = s.fd, .events = POLLOUT, .revents = 0};
    if (::poll(&p, 1, static_cast<int>(limit.count())) <= 0) return fail(Code::kTimeout, what + ": no answer");
    int err = 0;
    socklen_t size = sizeof err;
    ::getsockopt(s.fd, SOL_SOCKET, SO_ERROR, &err, &size);
    if (err != 0) return fail_errno(err, what);
  }
  return std::chrono::duration_cast<microseconds>(Clock::now() - start);
}

}  // namespace lab::overlay
