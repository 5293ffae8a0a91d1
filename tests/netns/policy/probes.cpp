#include "tests/netns/policy/probes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

namespace lab::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(30);

struct Socket {
  int fd = -1, receiver = -1;
  std::uint8_t protocol = 0;
  std::uint16_t number = 0;
  Outcome outcome;
};

sockaddr_in address_of(const std::string& text, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  if (::inet_pton(AF_INET, text.c_str(), &out.sin_addr) != 1) throw std::runtime_error("no IPv4 address: " + text);
  return out;
}

int open_in(const NetNs& ns, int type, int protocol) {
  int fd = -1;
  auto entered = run_in_netns(ns, [&] { fd = ::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol); });
  if (!entered || fd < 0) throw std::runtime_error("cannot open a socket");
  return fd;
}

// RFC 9260, appendix A.
std::uint32_t crc32c(const std::vector<std::uint8_t>& data) {
  std::uint32_t crc = ~0u;
  for (auto byte : data) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
  }
  return ~crc;
}

void put16(std::vector<std::uint8_t>& out, std::size_t at, unsigned v) {
  out[at] = static_cast<std::uint8_t>(v >> 8);
  out[at + 1] = static_cast<std::uint8_t>(v);
}

// The common header and an INIT chunk.
std::vector<std::uint8_t> sctp_init(std::uint16_t from, std::uint16_t to) {
  std::vector<std::uint8_t> out(32);
  put16(out, 0, from);
  put16(out, 2, to);
  out[12] = 1;           // INIT
  put16(out, 14, 20);    // length
  put16(out, 18, 7);     // initiate tag
  put16(out, 22, 4096);  // receiver window
  put16(out, 24, 1);     // streams out and in
  put16(out, 26, 1);
  auto crc = crc32c(out);
  for (int i = 0; i < 4; ++i) out[8 + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(crc >> (8 * i));
  return out;
}

std::vector<std::uint8_t> echo_request(std::uint16_t identifier) {
  std::vector<std::uint8_t> out(8);
  out[0] = 8;
  put16(out, 4, identifier);
  unsigned sum = 0x0800u + identifier;
  put16(out, 2, 0xffffu & ~((sum & 0xffff) + (sum >> 16)));
  return out;
}

Socket begin(const ProbeSpec& spec, std::uint16_t number) {
  Socket out{.protocol = spec.protocol, .number = number};
  auto to = address_of(spec.address, spec.port);
  auto* target = reinterpret_cast<sockaddr*>(&to);
  if (spec.protocol == IPPROTO_TCP || spec.protocol == IPPROTO_UDP) {
    bool tcp = spec.protocol == IPPROTO_TCP;
    out.fd = open_in(spec.from, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    auto any = address_of("0.0.0.0", number);
    if (::bind(out.fd, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0)
      throw std::runtime_error("cannot bind a port");
    if (::connect(out.fd, target, sizeof to) != 0 && errno != EINPROGRESS) throw std::runtime_error("cannot connect");
    if (!tcp && ::send(out.fd, "q\n", 2, 0) < 0) throw std::runtime_error("cannot send");
    return out;
  }
  out.fd = open_in(spec.from, SOCK_RAW, spec.protocol);
  if (spec.protocol == IPPROTO_SCTP) out.receiver = open_in(spec.to, SOCK_RAW, IPPROTO_SCTP);
  to.sin_port = 0;
  auto packet = spec.protocol == IPPROTO_SCTP ? sctp_init(number, spec.port) : echo_request(number);
  if (::sendto(out.fd, packet.data(), packet.size(), 0, target, sizeof to) < 0) throw std::runtime_error("cannot send");
  return out;
}

// The number of the probe that a packet belongs to.
std::pair<std::uint8_t, std::uint16_t> number_of(const std::uint8_t* data, std::size_t size) {
  if (size < 20) return {};
  std::size_t header = static_cast<std::size_t>(data[0] & 0xf) * 4, at = header + (data[9] == IPPROTO_ICMP ? 4 : 0);
  if (size < at + 2) return {};
  return {data[9], static_cast<std::uint16_t>(data[at] << 8 | data[at + 1])};
}

// Reads the packets that a raw socket has, until the probe's own.
bool raw_answer(const Socket& s) {
  std::uint8_t buffer[512];
  int fd = s.receiver >= 0 ? s.receiver : s.fd;
  while (true) {
    auto n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    std::size_t header = static_cast<std::size_t>(buffer[0] & 0xf) * 4;
    bool reply = s.protocol != IPPROTO_ICMP || (static_cast<std::size_t>(n) > header && buffer[header] == 0);
    if (reply && number_of(buffer, static_cast<std::size_t>(n)) == std::pair{s.protocol, s.number}) return true;
  }
}

void look(Socket& s) {
  if (s.protocol != IPPROTO_TCP && s.protocol != IPPROTO_UDP) {
    if (raw_answer(s)) s.outcome = "answered";
    return;
  }
  pollfd p{s.fd, static_cast<short>(s.protocol == IPPROTO_TCP ? POLLOUT : POLLIN), 0};
  if (::poll(&p, 1, 0) <= 0) return;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(s.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  s.outcome = error == 0 || error == ECONNREFUSED ? "answered" : std::strerror(error);
}

}  // namespace

Prober::Prober(const std::vector<NetNs>& nodes, std::uint16_t group) {
  for (const auto& n : nodes) {
    auto reader = in_netns(n, [&] { return NflogReader::open(group); });
    if (!reader) throw std::runtime_error(reader.error().text());
    readers_.push_back(std::move(*reader));
  }
}

std::vector<Outcome> Prober::run(const std::vector<ProbeSpec>& probes) {
  std::vector<Socket> sockets;
  std::map<std::pair<std::uint8_t, std::uint16_t>, std::size_t> by_number;
  for (const auto& spec : probes) {
    auto number = next_ = next_ >= 60000 ? 20000 : static_cast<std::uint16_t>(next_ + 1);
    by_number[{spec.protocol, number}] = sockets.size();
    sockets.push_back(begin(spec, number));
  }
  auto deadline = Clock::now() + kPatience;
  for (bool open = true; open && Clock::now() < deadline;) {
    for (auto& reader : readers_) {
      auto packets = reader.next(std::chrono::milliseconds(1));
      if (!packets) throw std::runtime_error(packets.error().text());
      for (const auto& p : *packets) {
        auto at = by_number.find(number_of(p.payload.data(), p.payload.size()));
        if (at != by_number.end()) sockets[at->second].outcome = "blocked " + p.prefix;
      }
    }
    open = false;
    for (auto& s : sockets) {
      if (s.outcome.empty()) look(s);
      open = open || s.outcome.empty();
    }
  }
  std::vector<Outcome> out;
  for (auto& s : sockets) {
    out.push_back(s.outcome.empty() ? "nothing" : s.outcome);
    ::close(s.fd);
    if (s.receiver >= 0) ::close(s.receiver);
  }
  return out;
}

}  // namespace lab::test
