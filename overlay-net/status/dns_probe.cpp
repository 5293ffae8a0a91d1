#include "overlay-net/status/dns_probe.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

namespace lab::overlay {
namespace {

constexpr std::size_t kHead = 12;

void put16(std::string& out, unsigned v) {
  out += static_cast<char>(v >> 8);
  out += static_cast<char>(v);
}

unsigned get16(std::string_view s, std::size_t at) {
  return at + 2 > s.size() ? 0 : static_cast<std::uint8_t>(s[at]) << 8 | static_cast<std::uint8_t>(s[at + 1]);
}

// Behind the name that begins at `at`; 0 when it does not end within the message.
std::size_t skip_name(std::string_view s, std::size_t at) {
  while (at < s.size()) {
    auto n = static_cast<std::uint8_t>(s[at]);
    if (n == 0) return at + 1;
    if (n >= 0xc0) return at + 2;
    at += n + 1;
  }
  return 0;
}

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

std::string dns_query(const std::string& name, std::uint16_t id) {
  std::string out;
  for (unsigned v : {unsigned{id}, 0x0100u, 1u, 0u, 0u, 0u}) put16(out, v);
  for (std::size_t at = 0; at < name.size();) {
    auto end = std::min(name.find('.', at), name.size());
    out += static_cast<char>(std::min<std::size_t>(63, end - at));
    out += name.substr(at, std::min<std::size_t>(63, end - at));
    at = end + 1;
  }
  out += '\0';
  put16(out, 1);  // A
  put16(out, 1);  // IN
  return out;
}

Result<DnsAnswer> parse_dns_answer(std::string_view s, std::uint16_t id) {
  auto bad = [] { return fail(Code::kInvalid, "not a DNS answer"); };
  if (s.size() < kHead || get16(s, 0) != id || !(get16(s, 2) & 0x8000)) return bad();
  DnsAnswer out{.rcode = static_cast<int>(get16(s, 2) & 15)};
  std::size_t at = kHead;
  for (unsigned i = get16(s, 4); i > 0; --i) {
    at = skip_name(s, at);
    if (at == 0 || at + 4 > s.size()) return bad();
    at += 4;
  }
  for (unsigned i = get16(s, 6); i > 0; --i) {
    at = skip_name(s, at);
    if (at == 0 || at + 10 > s.size()) return bad();
    unsigned type = get16(s, at), size = get16(s, at + 8);
    at += 10;
    if (at + size > s.size()) return bad();
    if (type == 1 && size == 4) {
      char text[INET_ADDRSTRLEN];
      out.addresses.emplace_back(::inet_ntop(AF_INET, s.data() + at, text, sizeof text));
    }
    at += size;
  }
  return out;
}

Result<DnsAnswer> ask_dns(const std::string& server, const std::string& name, std::chrono::milliseconds limit) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(53);
  if (::inet_pton(AF_INET, server.c_str(), &to.sin_addr) != 1)
    return fail(Code::kInvalid, "\"" + server + "\" is no IPv4 address");
  Socket s{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (s.fd < 0) return fail_errno("cannot make a socket");
  if (::connect(s.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    return fail_errno("no way to the name server " + server);
  auto id = static_cast<std::uint16_t>(std::random_device{}());
  auto query = dns_query(name, id);
  const auto start = std::chrono::steady_clock::now();
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::send(s.fd, query.data(), query.size(), 0) < 0) return fail_errno("cannot ask the name server " + server);
    pollfd p{.fd = s.fd, .events = POLLIN, .revents = 0};
    if (::poll(&p, 1, static_cast<int>(limit.count() / 2)) <= 0) continue;
    char buffer[1500];
    auto n = ::recv(s.fd, buffer, sizeof buffer, 0);
    if (n < 0) return fail_errno("the name server " + server + " does not answer");
    LAB_TRY(auto answer, parse_dns_answer({buffer, static_cast<std::size_t>(n)}, id));
    answer.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
    return answer;
  }
  return fail(Code::kTimeout, "the name server " + server + " does not answer",
              "see that lab-agent runs on this node: lab logs lab-agent");
}

}  // namespace lab::overlay
