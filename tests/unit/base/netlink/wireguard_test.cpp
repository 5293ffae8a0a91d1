// WireGuard's messages, byte by byte (linux/wireguard.h, linux/netlink.h). Against a kernel: tests/e2e/vm.
#include "base/netlink/wireguard.h"

#include <gtest/gtest.h>

#include <random>

namespace lab {
namespace {

using namespace std::string_literals;

const std::string kOne(kWireguardKeyBytes, '\x11'), kTwo(kWireguardKeyBytes, '\x22');

// An attribute: length, type (this machine's order), content, up to a multiple of four.
std::string attribute(int type, const std::string& content) {
  const auto size = content.size() + 4;
  std::string out{static_cast<char>(size), static_cast<char>(size >> 8), static_cast<char>(type),
                  static_cast<char>(type >> 8)};
  out += content;
  while (out.size() % 4) out += '\0';
  return out;
}
std::string nested(int type, const std::string& content) {
  return attribute(type | 0x8000, content);
}
// What follows the 16 bytes of nlmsghdr.
std::string body(const std::string& message) {
  return message.substr(16);
}
std::string whole(const std::string& body) {
  const auto size = body.size() + 16;
  return std::string{static_cast<char>(size), static_cast<char>(size >> 8), '\0', '\0'} + std::string(12, '\0') + body;
}
std::string allowed(const std::string& address, int bits) {
  return nested(0, attribute(1, std::string("\x02\0", 2)) + attribute(2, address) +
                       attribute(3, std::string(1, static_cast<char>(bits))));
}

TEST(Wireguard, SettingTheKey) {
  auto m = wireguard_message::set_key(0x1c, "lab-wg", kOne, 6784);
  EXPECT_EQ(m.substr(4, 2), "\x1c\0"s) << "the family";
  EXPECT_EQ(body(m), "\x01\x01\0\0"s /* SET_DEVICE, version 1 */ + attribute(2, "lab-wg\0"s) + attribute(3, kOne) +
                         attribute(6, "\x80\x1a"s));
}

TEST(Wireguard, SettingAPeer) {
  WireguardPeer peer{.public_key = kOne,
                     .preshared_key = kTwo,
                     .endpoint = *IpAddress::parse("192.168.1.2"),
                     .port = 6784,
                     .allowed_ips = {*Cidr::parse("10.244.2.77/24"), *Cidr::parse("192.168.1.2/32")}};
  auto messages = wireguard_message::set_peer(0x1c, "w", peer);
  ASSERT_EQ(messages.size(), 1u);
  const auto endpoint = "\x02\0\x1a\x80\xc0\xa8\x01\x02"s + std::string(8, '\0');
  EXPECT_EQ(body(messages[0]),
            "\x01\x01\0\0"s + attribute(2, "w\0"s) +
                nested(8, nested(0, attribute(1, kOne) + attribute(3, "\x02\0\0\0"s) /* replace its addresses */ +
                                        attribute(2, kTwo) + attribute(4, endpoint) +
                                        nested(9, allowed("\x0a\xf4\x02\0"s, 24) + allowed("\xc0\xa8\x01\x02"s, 32)))));
  auto gone = wireguard_message::remove_peer(0x1c, "w", kOne);
  EXPECT_EQ(body(gone), "\x01\x01\0\0"s + attribute(2, "w\0"s) +
                            nested(8, nested(0, attribute(1, kOne) + attribute(3, "\x05\0\0\0"s))));
}

TEST(Wireguard, ManyAddressesGoInSeveralMessages) {
  WireguardPeer peer{.public_key = kOne, .endpoint = *IpAddress::parse("10.0.0.1"), .port = 1};
  for (int i = 0; i < 300; ++i) peer.allowed_ips.push_back(Cidr::host(IpAddress::v4(0x0a000000u + unsigned(i))));
  auto messages = wireguard_message::set_peer(1, "w", peer);
  EXPECT_EQ(messages.size(), 5u);
  WireguardState read;
  for (const auto& m : messages) {
    EXPECT_LE(m.size(), 4096u);
    wireguard_message::read(m, read);  // a device answers in the same form
  }
  ASSERT_EQ(read.peers.size(), 1u);
  EXPECT_EQ(read.peers[0].allowed_ips, peer.allowed_ips);
  EXPECT_EQ(read.peers[0].preshared_key, "") << "all zeros are none";
}

TEST(Wireguard, ReadingADevice) {
  const std::string peer = attribute(1, kTwo) + attribute(2, std::string(32, '\0')) +
                           attribute(4, "\x02\0\x1a\x80\x0a\0\0\x02"s + std::string(8, '\0')) +
                           attribute(6, "\x10\0\0\0\0\0\0\0"s + std::string(8, '\0')) +
                           attribute(7, "\x05\0\0\0\0\0\0\0"s) + attribute(8, "\x06\0\0\0\0\0\0\0"s) +
                           nested(9, allowed("\x0a\xf4\x02\0"s, 24));
  const auto message = whole("\0\x01\0\0"s + attribute(3, kOne) + attribute(4, kTwo) + attribute(6, "\x80\x1a"s) +
                             nested(8, nested(0, peer)));
  WireguardState s;
  wireguard_message::read(message, s);
  EXPECT_EQ(s.private_key, kOne);
  EXPECT_EQ(s.public_key, kTwo);
  EXPECT_EQ(s.port, 6784);
  ASSERT_EQ(s.peers.size(), 1u);
  const auto& p = s.peers[0];
  EXPECT_EQ(p.endpoint.text(), "10.0.0.2");
  EXPECT_EQ(p.port, 6784);
  EXPECT_EQ(p.last_handshake, 16);
  EXPECT_EQ(p.received, 5u);
  EXPECT_EQ(p.sent, 6u);
  EXPECT_EQ(p.allowed_ips, std::vector{*Cidr::parse("10.244.2.0/24")});
  // Cut off anywhere, or with any byte another one, it is read without harm.
  std::mt19937 random(2);
  for (std::size_t n = 0; n <= message.size(); ++n) {
    WireguardState some;
    wireguard_message::read(message.substr(0, n), some);
    auto bad = message;
    for (int i = 0; i < 3; ++i) bad[random() % bad.size()] = static_cast<char>(random());
    wireguard_message::read(bad, some);
  }
}

}  // namespace
}  // namespace lab
