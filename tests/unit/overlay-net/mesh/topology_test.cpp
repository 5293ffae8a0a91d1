#include "overlay-net/mesh/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace lab::overlay {
namespace {

PeerName named(int i) {
  return {{0, 0, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
}

PeerIdentity identity(int i, std::uint64_t uid = 0) {
  return {named(i),
          uid ? uid : 1000u + static_cast<unsigned>(i),
          "n" + std::to_string(i),
          {"10.0.0." + std::to_string(i) + ":6783"}};
}

PeerRecord record(int i, std::uint64_t version, std::vector<int> links, std::uint64_t uid = 0) {
  PeerRecord r{.id = identity(i, uid), .version = version, .info = "info " + std::to_string(version)};
  for (int l : links) r.links[named(l)] = i < l;
  return r;
}

// Peer 1 knows a line 1-2-3-4.
Topology line() {
  Topology t(identity(1));
  t.add_link(named(2), true);
  EXPECT_TRUE(t.merge({record(2, 5, {1, 3}), record(3, 5, {2, 4}), record(4, 5, {3})}));
  return t;
}

TEST(Topology, ShortestPaths) {
  auto t = line();
  EXPECT_EQ(t.next_hop(named(4)), named(2));
  EXPECT_EQ(t.distance(named(4)), 3);
  EXPECT_EQ(t.distance(named(1)), 0);
  EXPECT_EQ(t.next_hop(named(9)), std::nullopt);
  // A shortcut is taken as soon as both sides speak of it, not before.
  t.add_link(named(4), true);
  EXPECT_EQ(t.next_hop(named(4)), named(2));
  ASSERT_TRUE(t.merge({record(4, 6, {3, 1})}));
  EXPECT_EQ(t.next_hop(named(4)), named(4));
  EXPECT_EQ(t.distance(named(3)), 2);
  EXPECT_EQ(t.next_hop(named(3)), named(2));  // of two ways of one length the lower name
}

TEST(Topology, LaterVersionsHoldInAnyOrderAnyNumberOfTimes) {
  std::vector<PeerRecord> updates;
  for (int v = 1; v <= 20; ++v) updates.push_back(record(2, v, v % 2 ? std::vector{1} : std::vector{1, 3}));
  updates.push_back(record(3, 7, {2}, 50));
  updates.push_back(record(3, 7, {2, 1}, 51));  // same version, higher UID
  auto expected = std::vector{record(2, 20, {1, 3}), record(3, 7, {2, 1}, 51)};
  for (unsigned seed = 0; seed < 50; ++seed) {
    Topology t(identity(1));
    std::mt19937 random(seed);
    auto order = updates;
    order.insert(order.end(), updates.begin(), updates.end());
    std::ranges::shuffle(order, random);
    for (const auto& r : order) ASSERT_TRUE(t.merge({r}));
    for (const auto& e : expected) EXPECT_EQ(*t.find(e.id.name), e) << "seed " << seed;
  }
}

TEST(Topology, MergeSaysWhatWasNew) {
  auto t = line();
  EXPECT_TRUE(t.merge({record(3, 5, {2, 4})})->empty());
  EXPECT_EQ(*t.merge({record(3, 6, {2}), record(2, 4, {})}), std::vector{named(3)});
}

TEST(Topology, ForgetsWhomNoConnectionLeadsTo) {
  auto t = line();
  ASSERT_TRUE(t.merge({record(2, 6, {1})}));  // 2 lost 3
  EXPECT_EQ(t.forget_unreachable(), (std::vector{named(3), named(4)}));
  EXPECT_EQ(t.peers().size(), 2u);
  EXPECT_TRUE(t.forget_unreachable().empty());
  // What others still tell about it is forgotten again, until somebody leads there.
  ASSERT_TRUE(t.merge({record(4, 9, {3})}));
  EXPECT_EQ(t.forget_unreachable(), std::vector{named(4)});
}

TEST(Topology, ARestartOutbidsTheRunBefore) {
  Topology t(identity(1));
  EXPECT_FALSE(t.assert_self());
  ASSERT_TRUE(t.merge({record(1, 40, {2}, 7)}));
  EXPECT_TRUE(t.is_contested());
  EXPECT_TRUE(t.assert_self());
  EXPECT_EQ(t.self().version, 41u);
  EXPECT_EQ(t.self().id.uid, 1001u);
  ASSERT_TRUE(t.merge({record(1, 43, {2}, 7)}));  // a straggler of that run
  EXPECT_TRUE(t.assert_self());
  EXPECT_FALSE(t.clash());
  ASSERT_TRUE(t.merge({record(1, 30, {2}, 7)}));
  EXPECT_FALSE(t.assert_self());
}

TEST(Topology, TwoLivingPeersOfOneNameAreAClash) {
  Topology a(identity(1, 70)), b(identity(1, 80));
  for (int i = 0; i < 10 && !(a.clash() && b.clash()); ++i) {
    ASSERT_TRUE(a.merge({b.self()}));
    a.assert_self();
    ASSERT_TRUE(b.merge({a.self()}));
    b.assert_self();
  }
  ASSERT_TRUE(a.clash());
  ASSERT_TRUE(b.clash());
  EXPECT_EQ(a.clash()->other.uid, 80u);
}

TEST(Topology, AForgedVersionIsRefusedWhole) {
  auto t = line();
  auto before = t.peers();
  EXPECT_FALSE(t.merge({record(3, 8, {2}), record(1, ~std::uint64_t{0}, {})}));
  EXPECT_EQ(t.peers(), before);
}

TEST(TopologyWire, RoundTrip) {
  auto t = line();
  std::vector<const PeerRecord*> records;
  for (const auto& [name, r] : t.peers()) records.push_back(&r);
  auto back = decode_records(encode_records(records));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) EXPECT_EQ((*back)[i], *records[i]);
  auto digest = decode_digest(encode_digest(t));
  ASSERT_TRUE(digest);
  EXPECT_EQ(digest->size(), 4u);
  EXPECT_EQ((*digest)[2].version, 5u);
}

TEST(TopologyWire, EveryTruncationIsRefusedAndNoGarbageHarms) {
  auto t = line();
  std::vector<const PeerRecord*> records;
  for (const auto& [name, r] : t.peers()) records.push_back(&r);
  const auto good = encode_records(records);
  for (std::size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(decode_records(good.substr(0, n))) << n;
  EXPECT_FALSE(decode_records(good + "x"));
  std::mt19937 random(4711);
  int taken = 0;
  for (int i = 0; i < 20000; ++i) {
    auto bytes = good;
    for (unsigned k = 0; k <= random() % 4; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
    auto r = decode_records(bytes);
    if (r) {
      ++taken;
      for (const auto& p : *r) EXPECT_TRUE(is_printable(p.id.nickname));
    }
    std::string noise(random() % 200, '\0');
    for (auto& c : noise) c = static_cast<char>(random());
    (void)decode_records(noise);
    (void)decode_digest(noise);
  }
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 20000);
}

}  // namespace
}  // namespace lab::overlay
