// WireGuard devices: their key, their peers and what each may send and be sent (linux/wireguard.h, generic netlink).
//
// Keys are 32 raw bytes. A handle is bound to the network namespace of the thread that opened it and may be used from
// any one thread at a time. Where the kernel has no WireGuard, create() fails with EOPNOTSUPP in sys_errno; a kernel
// that has it as a module loads that by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab {

inline constexpr std::size_t kWireguardKeyBytes = 32;

struct WireguardPeer {
  std::string public_key;     // its name
  std::string preshared_key;  // mixed into each session's keys; "": none
  IpAddress endpoint;
  std::uint16_t port = 0;
  std::vector<Cidr> allowed_ips;  // what goes to it, and the sources that are taken from it
  // Of the device alone: seconds since 1970 (0: none yet), bytes.
  std::int64_t last_handshake = 0;
  std::uint64_t received = 0, sent = 0;
};

struct WireguardState {
  std::string private_key, public_key;  // "" while it has none
  std::uint16_t port = 0;
  std::vector<WireguardPeer> peers;
};

class Wireguard {
 public:
  static Result<Wireguard> open();
  Wireguard(Wireguard&&) noexcept;
  Wireguard& operator=(Wireguard&&) noexcept;
  ~Wireguard();

  Result<void> create(const std::string& device);  // down, without a key; one that is there is left as it is
  Result<WireguardState> read(const std::string& device);
  // Another key ends the sessions for sending; what is under way to this device can still be read.
  Result<void> set_key(const std::string& device, const std::string& private_key, std::uint16_t port);
  // Adds or changes a peer: all of it but the counters is then as said. An allowed address that another peer had is
  // taken from that one.
  Result<void> set_peer(const std::string& device, const WireguardPeer& peer);
  Result<void> remove_peer(const std::string& device, const std::string& public_key);  // absent is fine

 private:
  struct Sockets;
  explicit Wireguard(std::unique_ptr<Sockets> sockets);
  std::unique_ptr<Sockets> sockets_;
};

// The messages, byte by byte.
namespace wireguard_message {

// One, or more for a peer with many addresses.
std::vector<std::string> set_peer(int family, const std::string& device, const WireguardPeer& peer);
std::string remove_peer(int family, const std::string& device, const std::string& public_key);
std::string set_key(int family, const std::string& device, const std::string& private_key, std::uint16_t port);
// One answer of a device; a device with many peers gives several, which are taken in one after the other.
void read(std::string_view message, WireguardState& into);

}  // namespace wireguard_message

}  // namespace lab
