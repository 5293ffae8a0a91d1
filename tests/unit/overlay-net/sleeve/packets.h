// IPv4 packets for tests, and checking those that come back.
#pragma once

#include <netinet/in.h>

#include <cstring>
#include <random>
#include <string>

#include "overlay-net/sleeve/frame.h"

namespace lab::overlay::test {

using Bytes = std::vector<std::uint8_t>;

inline void put16(Bytes& b, std::size_t at, std::uint32_t v) {
  b[at] = static_cast<std::uint8_t>(v >> 8), b[at + 1] = static_cast<std::uint8_t>(v);
}
inline std::uint32_t get(std::span<const std::uint8_t> b, std::size_t at, int bytes) {
  std::uint32_t v = 0;
  for (int i = 0; i < bytes; ++i) v = v << 8 | b[at + static_cast<std::size_t>(i)];
  return v;
}

// 10.244.1.2 -> 10.244.2.2, ports 1000 -> 2000.
inline Bytes ip_packet(std::uint8_t protocol, std::size_t transport) {
  Bytes b(20 + transport);
  b[0] = 0x45;
  put16(b, 2, static_cast<std::uint32_t>(b.size()));
  put16(b, 4, 100);
  b[6] = 0x40;  // do not fragment
  b[8] = 64;
  b[9] = protocol;
  const std::uint8_t addresses[] = {10, 244, 1, 2, 10, 244, 2, 2};
  std::memcpy(&b[12], addresses, 8);
  put16(b, 10, static_cast<std::uint16_t>(~checksum_fold(checksum_add({b.data(), 20}, 0))));
  put16(b, 20, 1000);
  put16(b, 22, 2000);
  return b;
}

// A TCP packet with 12 bytes of options, as the kernel hands it over: checksum missing.
inline Bytes tcp_packet(std::size_t payload, std::uint32_t sequence = 5000, std::uint8_t flags = 0x18) {
  auto b = ip_packet(IPPROTO_TCP, 32 + payload);
  for (int i = 0; i < 4; ++i) b[24 + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(sequence >> (24 - 8 * i));
  b[32] = 8 << 4;
  b[33] = flags;
  put16(b, 34, 512);
  for (std::size_t i = 0; i < payload; ++i) b[52 + i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  return b;
}

inline Bytes framed(const Bytes& packet, VirtioHead head) {
  Bytes out(sizeof head + packet.size());
  std::memcpy(out.data(), &head, sizeof head);
  std::memcpy(out.data() + sizeof head, packet.data(), packet.size());
  return out;
}

inline Bytes framed_tcp(const Bytes& packet, std::uint16_t segment) {
  return framed(packet, {.flags = VirtioHead::kNeedsChecksum,
                         .gso_type = segment ? VirtioHead::kTcp4 : VirtioHead::kNone,
                         .header_size = 52,
                         .gso_size = segment,
                         .checksum_start = 20,
                         .checksum_offset = 16});
}

inline bool ip_checksum_holds(std::span<const std::uint8_t> p) {
  return checksum_fold(checksum_add(p.first((p[0] & 15u) * 4), 0)) == 0xffff;
}

}  // namespace lab::overlay::test
