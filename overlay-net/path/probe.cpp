#include "overlay-net/path/probe.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace lab::overlay {
namespace {

constexpr char kMagic[] = {'l', 'a', 'b', 'H'};
constexpr std::size_t kMost = 65535;

std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = ~0u;
  for (auto b : bytes) {
    crc ^= b;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

void put32(std::uint8_t* p, std::uint32_t v) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(v >> (24 - 8 * i));
}
std::uint32_t get32(const std::uint8_t* p) {
  return std::uint32_t(p[0]) << 24 | std::uint32_t(p[1]) << 16 | std::uint32_t(p[2]) << 8 | p[3];
}

int open_on(const std::string& device, bool bound) {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int never_cut = IP_PMTUDISC_PROBE, on = 1;
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = bound ? htons(kHeartbeatPort) : 0;
  (void)::setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &never_cut, sizeof never_cut);
  if (!bound) (void)::setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on);
  if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), static_cast<socklen_t>(device.size())) != 0 ||
      ::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

}  // namespace

std::vector<std::uint8_t> write_heartbeat(const Heartbeat& h, std::size_t size) {
  std::vector<std::uint8_t> out(std::max(size, Heartbeat::kHead));
  std::memcpy(out.data(), kMagic, 4);
  out[4] = h.answer;
  out[5] = static_cast<std::uint8_t>(h.sort);
  std::ranges::copy(h.asks.bytes, out.begin() + 6);
  std::ranges::copy(h.asked.bytes, out.begin() + 12);
  put32(&out[18], h.number);
  // Bytes that differ in every word, so that words left out or doubled show.
  for (std::size_t i = Heartbeat::kHead; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>((i * 2654435761u + h.number) >> 11);
  }
  put32(&out[22], crc32(std::span(out).subspan(Heartbeat::kHead)));
  return out;
}

std::optional<Heartbeat> read_heartbeat(std::span<const std::uint8_t> b) {
  if (b.size() < Heartbeat::kHead || std::memcmp(b.data(), kMagic, 4) != 0 || b[4] > 1 || b[5] > 2) return {};
  Heartbeat h{.answer = b[4] == 1, .sort = static_cast<Sort>(b[5])};
  std::copy_n(b.begin() + 6, 6, h.asks.bytes.begin());
  std::copy_n(b.begin() + 12, 6, h.asked.bytes.begin());
  h.number = get32(&b[18]);
  h.intact = get32(&b[22]) == crc32(b.subspan(Heartbeat::kHead));
  return h;
}

HeartbeatSocket::~HeartbeatSocket() {
  close_all();
}

void HeartbeatSocket::close_all() {
  for (int* fd : {&fd_, &unsummed_}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
}

bool HeartbeatSocket::ensure_open() {
  const unsigned now = ::if_nametoindex(device_.c_str());
  if (now == index_ && fd_ >= 0) return true;
  close_all();
  index_ = now;
  if (now == 0) return false;
  fd_ = open_on(device_, true);
  unsummed_ = open_on(device_, false);
  if (fd_ >= 0 && unsummed_ >= 0) return true;
  close_all();
  return false;
}

void HeartbeatSocket::send(const Heartbeat& h, const IpAddress& to, std::size_t size) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(kHeartbeatPort);
  a.sin_addr.s_addr = htonl(to.v4_value());
  const auto bytes = write_heartbeat(h, size);
  // One that cannot be sent is one that does not come back.
  (void)::sendto(h.sort == Sort::kUnsummed ? unsummed_ : fd_, bytes.data(), bytes.size(), 0,
                 reinterpret_cast<sockaddr*>(&a), sizeof a);
}

void HeartbeatSocket::receive(const std::function<void(const Heartbeat&)>& each) {
  static thread_local const auto buffer = std::make_unique_for_overwrite<std::uint8_t[]>(kMost);
  for (ssize_t n; fd_ >= 0 && (n = ::recv(fd_, buffer.get(), kMost, 0)) > 0;) {
    if (auto h = read_heartbeat({buffer.get(), static_cast<std::size_t>(n)})) each(*h);
  }
}

}  // namespace lab::overlay
