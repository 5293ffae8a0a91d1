// What nodes tell each other, what follows from it for the device, and when a key changes: all without a device.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/crypto/key_agreement.h"
#include "overlay-net/wireguard/key_change.h"
#include "overlay-net/wireguard/offer.h"
#include "overlay-net/wireguard/plan.h"

namespace lab::overlay {
namespace {

using State = WireguardOffer::State;
using namespace std::chrono_literals;

std::string key(char c) {
  return std::string(kWireguardKeyBytes, c);
}
Cidr range(const char* text) {
  return *Cidr::parse(text);
}
WireguardTarget target(const std::string& name, char k, std::vector<Cidr> ranges) {
  return {name, key(k), *IpAddress::parse("10.0.0.2"), 6784, std::move(ranges)};
}

TEST(WireguardOffer, ComesBackAsItWas) {
  for (auto state : {State::kSilent, State::kNoKernel, State::kFailed, State::kChanging}) {
    WireguardOffer o{.state = state};
    EXPECT_EQ(decode_offer(encode(o)), o);
  }
  WireguardOffer ready{.state = State::kReady, .port = 6784, .key = key('k')};
  auto note = encode(ready);
  EXPECT_EQ(note.size(), 35u);
  EXPECT_EQ(decode_offer(note), ready);
  for (std::size_t n = 0; n < note.size(); ++n) EXPECT_EQ(decode_offer(note.substr(0, n)), WireguardOffer{}) << n;
  EXPECT_EQ(decode_offer(note + "x"), WireguardOffer{});
  EXPECT_EQ(decode_offer(encode({.state = State::kReady, .port = 6784, .key = key('\0')})), WireguardOffer{});
  EXPECT_EQ(decode_offer(encode({.state = State::kReady, .port = 0, .key = key('k')})), WireguardOffer{});
  EXPECT_EQ(decode_offer("\x05"), WireguardOffer{}) << "a state that does not exist";
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (auto& c : bytes) c = static_cast<char>(random());
    if (!bytes.empty()) bytes[0] &= 7;
    auto o = decode_offer(bytes);
    EXPECT_TRUE(o.state != State::kReady || (o.key.size() == kWireguardKeyBytes && o.port));
  }
}

TEST(WireguardOffer, WhatIsInTheWayIsSaid) {
  const WireguardOffer ready{.state = State::kReady, .port = 1, .key = key('k')};
  EXPECT_EQ(obstacle(ready, ready), "");
  EXPECT_EQ(obstacle({.state = State::kNoKernel}, ready), "this kernel has no WireGuard");
  EXPECT_EQ(obstacle(ready, {.state = State::kNoKernel}), "its kernel has no WireGuard");
  EXPECT_EQ(obstacle({.state = State::kFailed}, ready, "the port is taken"), "WireGuard: the port is taken");
  for (auto other : {State::kSilent, State::kFailed, State::kChanging}) {
    EXPECT_NE(obstacle(ready, {.state = other}), "");
    EXPECT_NE(obstacle({.state = other}, ready), "");
  }
}

TEST(WireguardPlan, AddsChangesRemovesAndThenRests) {
  WireguardState now{.private_key = key('p'), .public_key = key('o'), .port = 6784};
  std::vector<WireguardTarget> wanted{target("b", 'b', {range("10.244.2.0/24")}),
                                      target("c", 'c', {range("10.244.3.0/24"), range("10.0.0.3/32")})};
  auto plan = plan_wireguard(now, wanted, "secret");
  ASSERT_EQ(plan.set.size(), 2u);
  EXPECT_TRUE(plan.remove.empty());
  EXPECT_EQ(plan.set[0].preshared_key.size(), kWireguardKeyBytes);
  now.peers = plan.set;
  // As the kernel gives them back: in another order, with counters.
  std::ranges::reverse(now.peers);
  for (auto& p : now.peers) std::ranges::reverse(p.allowed_ips), p.received = 7;
  plan = plan_wireguard(now, wanted, "secret");
  EXPECT_TRUE(plan.set.empty() && plan.remove.empty() && plan.warnings.empty());
  wanted[0].underlay = *IpAddress::parse("10.0.0.9");
  wanted[1].key = key('d');
  plan = plan_wireguard(now, wanted, "secret");
  ASSERT_EQ(plan.set.size(), 2u);
  EXPECT_EQ(plan.remove, std::vector{key('c')}) << "a peer has one key";
  EXPECT_EQ(plan_wireguard(now, {}, "secret").remove.size(), 2u);
}

TEST(WireguardPlan, AKeyThatTwoNameIsNobodys) {
  WireguardState now{.public_key = key('o')};
  auto plan = plan_wireguard(
      now, {target("b", 'b', {range("10.244.2.0/24")}), target("evil", 'b', {range("10.244.9.0/24")})}, "");
  EXPECT_TRUE(plan.set.empty());
  EXPECT_EQ(plan.warnings.size(), 2u);
  plan = plan_wireguard(now, {target("mirror", 'o', {range("10.244.2.0/24")})}, "");
  EXPECT_TRUE(plan.set.empty()) << "this node's own";
}

TEST(WireguardPlan, ANewcomerDoesNotGetARangeThatIsTaken) {
  WireguardState now{.public_key = key('o')};
  now.peers = plan_wireguard(now, {target("z", 'z', {range("10.244.2.0/24")})}, "").set;
  auto plan = plan_wireguard(
      now, {target("a", 'a', {range("10.244.2.128/25")}), target("z", 'z', {range("10.244.2.0/24")})}, "");
  EXPECT_TRUE(plan.set.empty());
  EXPECT_TRUE(plan.remove.empty());
  ASSERT_EQ(plan.warnings.size(), 1u);
  EXPECT_NE(plan.warnings[0].find("peer a "), std::string::npos) << plan.warnings[0];
}

TEST(WireguardPlan, ThePresharedKeyIsTheSameOnBothSides) {
  auto a = crypto::x25519_generate(), b = crypto::x25519_generate();
  EXPECT_EQ(preshared_key("s", a.open, b.open), preshared_key("s", b.open, a.open));
  EXPECT_NE(preshared_key("s", a.open, b.open), preshared_key("t", a.open, b.open));
  EXPECT_NE(preshared_key("s", a.open, b.open), preshared_key("s", a.open, a.secret));
  EXPECT_EQ(preshared_key("", a.open, b.open), "") << "with certificates";
}

TEST(KeyChange, DrainsFirstAndOnlyWhenThatIsSafe) {
  auto now = KeyChange::TimePoint{} + 1h;
  KeyChange c({.age = 24h, .drain = 5s}, now);
  EXPECT_FALSE(c.step(now + 23h, true));
  EXPECT_FALSE(c.draining());
  now += 25h;
  EXPECT_FALSE(c.step(now, false));
  EXPECT_FALSE(c.draining()) << "somebody is reached through WireGuard alone";
  EXPECT_FALSE(c.step(now, true));
  EXPECT_TRUE(c.draining());
  EXPECT_FALSE(c.step(now + 4s, true));
  EXPECT_TRUE(c.step(now + 5s, false)) << "drained it is";
  EXPECT_FALSE(c.draining());
  EXPECT_FALSE(c.step(now + 1h, true));
  c.ask();
  EXPECT_FALSE(c.step(now + 2h, true));
  EXPECT_TRUE(c.draining());
  EXPECT_TRUE(c.step(now + 3h, true));
  EXPECT_FALSE(c.asked());
}

}  // namespace
}  // namespace lab::overlay
