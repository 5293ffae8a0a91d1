// Datagrams in batches: many in one system call (sendmmsg, recvmmsg), and many of one size and destination as one large
// one that the kernel or the card cuts and joins (UDP_SEGMENT, UDP_GRO: udp(7)).
//
// Used from one thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::overlay {

// A socket bound to this address that never fragments (DF) and ignores what the kernel believes of the path's MTU.
Result<int> open_udp(const IpAddress& address, std::uint16_t port);
sockaddr_in socket_address(const IpAddress& address, std::uint16_t port);

class SendBatch {
 public:
  static constexpr std::size_t kMessages = 64, kSegments = 64, kVectors = 4096;
  static constexpr std::size_t kMostBytes = 65507;  // of one message: UDP's own limit

  explicit SendBatch(int fd) : fd_(fd) {}
  // One datagram of one or two parts, which stay where they are until flush(). Flushes first when it is full.
  void add(const sockaddr_in& to, iovec a, iovec b = {});
  void flush();
  bool empty() const { return used_ == 0; }
  std::uint64_t lost() const { return lost_; }  // datagrams the kernel refused

 private:
  struct Message {
    sockaddr_in to{};
    std::size_t first = 0, vectors = 0;  // in vectors_
    std::size_t segment = 0, count = 0, bytes = 0;
    bool closed = false;  // the last datagram was a smaller one
  };
  bool joins(const Message& m, const sockaddr_in& to, std::size_t size) const;
  void append(const Message& m, iovec part);
  void send_one_by_one(const Message& m);
  bool wait_for_room();

  int fd_;
  bool offload_ = true;  // the device takes large messages
  std::size_t used_ = 0, vectors_used_ = 0;
  std::array<Message, kMessages> messages_;
  std::array<iovec, kVectors> vectors_;
  std::uint64_t lost_ = 0;
};

class ReceiveBatch {
 public:
  // Few, so that what was received is still in the processor's cache when it is handed on.
  static constexpr std::size_t kMessages = 4, kBytes = 65536;

  explicit ReceiveBatch(int fd);
  // Receives what is there, at most a batch; each datagram goes to `each` and stays valid until the next call. False
  // when nothing was there.
  bool receive(const std::function<void(const sockaddr_in& from, std::span<std::uint8_t>)>& each);

 private:
  union Control {
    cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  };
  int fd_;
  std::unique_ptr<std::uint8_t[]> buffers_;  // not cleared: pages that no datagram ever filled cost nothing
  std::array<mmsghdr, kMessages> headers_{};
  std::array<iovec, kMessages> vectors_{};
  std::array<sockaddr_in, kMessages> from_{};
  std::array<Control, kMessages> control_{};
};

}  // namespace lab::overlay
