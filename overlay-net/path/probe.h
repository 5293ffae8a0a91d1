// Heartbeats over the kernel's VXLAN: inner UDP packets to the peer's agent and back, of the pods' full size, small,
// and small without a UDP checksum. Their bytes are checked, so that a device that corrupts is found out.
//
//    0  "labH"     4  question or answer     5  sort     6  MAC of who asks     12  MAC of who is asked
//   18  number    22  CRC-32 of what follows (of a question)                    26  a pattern up to the size
//
// The sockets are bound to the vxlan device, so that heartbeats go that way also while the pods' packets do not. Used
// from one thread, in whose network namespace it works.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::overlay {

inline constexpr std::uint16_t kHeartbeatPort = 6785;  // inside the overlay

enum class Sort : std::uint8_t { kFull, kSmall, kUnsummed };

struct Heartbeat {
  static constexpr std::size_t kHead = 26;
  bool answer = false;
  Sort sort = Sort::kFull;
  MacAddress asks, asked;
  std::uint32_t number = 0;
  bool intact = true;  // the CRC holds
  bool operator==(const Heartbeat&) const = default;
};
std::vector<std::uint8_t> write_heartbeat(const Heartbeat& h, std::size_t size);
std::optional<Heartbeat> read_heartbeat(std::span<const std::uint8_t> bytes);

class HeartbeatSocket {
 public:
  explicit HeartbeatSocket(std::string device) : device_(std::move(device)) {}
  ~HeartbeatSocket();
  HeartbeatSocket(const HeartbeatSocket&) = delete;

  // (Re)opens when the device is another one than before. False while there is none.
  bool ensure_open();
  int fd() const { return fd_; }  // to wait on; -1 while closed
  void send(const Heartbeat& h, const IpAddress& to, std::size_t size);
  // Everything that is there.
  void receive(const std::function<void(const Heartbeat&)>& each);

 private:
  void close_all();
  std::string device_;
  unsigned index_ = 0;
  int fd_ = -1, unsummed_ = -1;
};

}  // namespace lab::overlay
