#include "overlay-net/sleeve/udp.h"

#include <linux/udp.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lab::overlay {
namespace {

constexpr int kSocketBuffer = 8 << 20;

void set(int fd, int level, int option, int value) {
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

}  // namespace

sockaddr_in socket_address(const IpAddress& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(address.v4_value());
  return out;
}

Result<int> open_udp(const IpAddress& address, std::uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail_errno("cannot make a UDP socket");
  auto name = socket_address(address, port);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) {
    int why = errno;
    ::close(fd);
    return fail_errno(why, "cannot use UDP port " + std::to_string(port) + " of " + address.text(),
                      why == EADDRINUSE ? "see with ss -lup who holds it" : "");
  }
  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  set(fd, IPPROTO_UDP, UDP_GRO, 1);
  // Room for a burst while this thread waits for a processor. Without the right to more, what the system allows serves.
  for (auto [force, plain] : {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, std::pair{SO_SNDBUFFORCE, SO_SNDBUF}}) {
    if (::setsockopt(fd, SOL_SOCKET, force, &kSocketBuffer, sizeof kSocketBuffer) != 0) {
      set(fd, SOL_SOCKET, plain, kSocketBuffer);
    }
  }
  return fd;
}

bool SendBatch::joins(const Message& m, const sockaddr_in& to, std::size_t size) const {
  return offload_ && !m.closed && m.count < kSegments && size <= m.segment && m.bytes + size <= kMostBytes &&
         m.to.sin_addr.s_addr == to.sin_addr.s_addr && m.to.sin_port == to.sin_port;
}

// What lies behind the one before is one part with it: the kernel takes its time over each.
void SendBatch::append(const Message& m, iovec part) {
  if (vectors_used_ > m.first) {
    auto& last = vectors_[vectors_used_ - 1];
    if (static_cast<std::uint8_t*>(last.iov_base) + last.iov_len == part.iov_base) {
      last.iov_len += part.iov_len;
      return;
    }
  }
  vectors_[vectors_used_++] = part;
}

void SendBatch::add(const sockaddr_in& to, iovec a, iovec b) {
  const std::size_t size = a.iov_len + b.iov_len;
  if (vectors_used_ + 2 > kVectors) flush();
  if (used_ == 0 || !joins(messages_[used_ - 1], to, size)) {
    if (used_ == kMessages) flush();
    messages_[used_++] = {.to = to, .first = vectors_used_, .segment = size};
  }
  auto& m = messages_[used_ - 1];
  append(m, a);
  if (b.iov_len) append(m, b);
  m.vectors = vectors_used_ - m.first;
  m.bytes += size;
  ++m.count;
  m.closed = size < m.segment;
}

bool SendBatch::wait_for_room() {
  pollfd p{fd_, POLLOUT, 0};
  return ::poll(&p, 1, 20) > 0;
}

// Where a device cannot cut messages itself (EIO: no checksum offload), each datagram goes alone.
void SendBatch::send_one_by_one(const Message& m) {
  std::size_t at = m.first, taken = 0;  // of vectors_[at]
  std::vector<iovec> parts;
  for (std::size_t i = 0; i < m.count; ++i) {
    std::size_t want = std::min(m.segment, m.bytes - i * m.segment);
    parts.clear();
    while (want) {
      const auto& v = vectors_[at];
      const std::size_t n = std::min(want, v.iov_len - taken);
      parts.push_back({static_cast<std::uint8_t*>(v.iov_base) + taken, n});
      want -= n;
      taken += n;
      if (taken == v.iov_len) ++at, taken = 0;
    }
    msghdr h{};
    h.msg_name = const_cast<sockaddr_in*>(&m.to);
    h.msg_namelen = sizeof m.to;
    h.msg_iov = parts.data();
    h.msg_iovlen = parts.size();
    if (::sendmsg(fd_, &h, MSG_DONTWAIT) < 0 && !(errno == EAGAIN && wait_for_room() && ::sendmsg(fd_, &h, 0) >= 0)) {
      ++lost_;
    }
  }
}

void SendBatch::flush() {
  union Control {
    cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(std::uint16_t))];
  };
  static thread_local std::array<Control, kMessages> controls;
  std::array<mmsghdr, kMessages> headers{};
  for (std::size_t i = 0; i < used_; ++i) {
    auto& m = messages_[i];
    auto& h = headers[i].msg_hdr;
    h.msg_name = &m.to;
    h.msg_namelen = sizeof m.to;
    h.msg_iov = &vectors_[m.first];
    h.msg_iovlen = m.vectors;
    if (m.count == 1) continue;
    h.msg_control = controls[i].bytes;
    h.msg_controllen = sizeof controls[i].bytes;
    auto* c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto segment = static_cast<std::uint16_t>(m.segment);
    std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
  }
  for (std::size_t i = 0; i < used_;) {
    int n = ::sendmmsg(fd_, &headers[i], static_cast<unsigned>(used_ - i), MSG_DONTWAIT);
    if (n > 0) {
      i += static_cast<std::size_t>(n);
    } else if (errno == EINTR) {
      continue;
    } else if (errno == EAGAIN && wait_for_room()) {
      continue;
    } else {
      if (messages_[i].count > 1 && (errno == EIO || errno == EINVAL)) {
        if (errno == EIO) offload_ = false;
        send_one_by_one(messages_[i]);
      } else {
        lost_ += messages_[i].count;
      }
      ++i;
    }
  }
  used_ = vectors_used_ = 0;
}

ReceiveBatch::ReceiveBatch(int fd)
    : fd_(fd), buffers_(std::make_unique_for_overwrite<std::uint8_t[]>(kMessages * kBytes)) {}

bool ReceiveBatch::receive(const std::function<void(const sockaddr_in&, std::span<std::uint8_t>)>& each) {
  for (std::size_t i = 0; i < kMessages; ++i) {
    vectors_[i] = {&buffers_[i * kBytes], kBytes};
    auto& h = headers_[i].msg_hdr;
    h = {};
    h.msg_name = &from_[i];
    h.msg_namelen = sizeof from_[i];
    h.msg_iov = &vectors_[i];
    h.msg_iovlen = 1;
    h.msg_control = control_[i].bytes;
    h.msg_controllen = sizeof control_[i].bytes;
  }
  int n = ::recvmmsg(fd_, headers_.data(), kMessages, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < n; ++i) {
    auto& h = headers_[static_cast<std::size_t>(i)].msg_hdr;
    std::size_t size = headers_[static_cast<std::size_t>(i)].msg_len, segment = size;
    for (auto* c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
      int v = 0;
      if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
      std::memcpy(&v, CMSG_DATA(c), sizeof v);
      if (v > 0) segment = static_cast<std::size_t>(v);
    }
    auto* bytes = &buffers_[static_cast<std::size_t>(i) * kBytes];
    if (h.msg_flags & MSG_TRUNC) continue;
    for (std::size_t at = 0; at < size; at += segment) {
      each(from_[static_cast<std::size_t>(i)], {bytes + at, std::min(segment, size - at)});
    }
  }
  return n > 0;
}

}  // namespace lab::overlay
