// The user-space path between real kernels, and what a network may do to it.
#include <random>
#include <thread>

#include "tests/netns/sleeve/net.h"

namespace lab {
namespace {

using overlay::wire::Kind;
using test::eventually;
using test::SleeveNet;

constexpr std::size_t kMegabyte = 1 << 20;

void expect_established(SleeveNet& net, int a, int b) {
  ASSERT_TRUE(net.established(a, b)) << net.status(a, b).problem;
  ASSERT_TRUE(net.established(b, a)) << net.status(b, a).problem;
}

// Both nodes of a net of two, with these of its start().
template <class... Of>
void connect(SleeveNet& net, Of... of) {
  for (int i : {1, 2}) net.start(i, of...);
  expect_established(net, 1, 2);
}

TEST(Sleeve, CarriesStreamsAndDatagramsOfAllSizes) {
  SleeveNet net(2);
  connect(net);
  EXPECT_FALSE(net.status(1, 2).encrypted);
  EXPECT_TRUE(eventually([&] { return net.status(1, 2).mtu == 1500 - 28 - 24; })) << net.status(1, 2).mtu;
  for (int size : {0, 1, 56, 1000, 1396, 1397, 1422, 1423, 5000, 20000}) EXPECT_TRUE(net.ping(1, 2, size)) << size;
  EXPECT_TRUE(net.transfer(1, 2, 30 * kMegabyte));
  EXPECT_TRUE(net.transfer(2, 1, 3));
  auto c = net.sleeves[2]->counters();
  EXPECT_EQ(c.malformed + c.refused + c.foreign, 0u);
  EXPECT_GT(net.status(2, 1).bytes_received, 30 * kMegabyte);
}

TEST(Sleeve, SealedItCarriesTheSameAndNothingReadableIsOnTheWire) {
  SleeveNet net(2);
  connect(net, "secret");
  EXPECT_TRUE(net.status(1, 2).encrypted);
  for (int size : {0, 56, 1380, 1422, 9000}) EXPECT_TRUE(net.ping(1, 2, size)) << size;
  EXPECT_TRUE(net.transfer(1, 2, 30 * kMegabyte));
  // A ping's payload begins with known bytes of zeros: they are not there.
  std::string seen;
  std::thread pings([&] { net.box.run("n1", {"busybox", "ping", "-c20", "-i0.05", "-s600", net.pod(2)}); });
  // What comes first may be the last words of the stream before.
  for (int i = 0; i < 20 && seen.size() <= 600; ++i) seen = net.capture(2, Kind::kPacket, 2);
  pings.join();
  ASSERT_GT(seen.size(), 600u);
  EXPECT_EQ(seen.find(std::string(32, seen.back())), std::string::npos);
  EXPECT_EQ(seen.find(std::string(16, '\0')), std::string::npos);
}

TEST(Sleeve, AnotherPasswordIsRefusedAndSaidSo) {
  SleeveNet net(2);
  net.start(1, "secret"), net.start(2, "Secret");
  for (auto [a, b] : {std::pair{2, 1}}) {
    EXPECT_TRUE(eventually([&] { return net.status(a, b).problem.find("another password") != std::string::npos; }))
        << net.status(a, b).problem;
  }
  EXPECT_TRUE(net.unreachable(1, 2));
  EXPECT_GT(net.sleeves[2]->counters().refused, 0u);
  // Put right, it works without further ado.
  net.stop(2);
  net.start(2, "secret");
  expect_established(net, 1, 2);
  EXPECT_TRUE(net.ping(1, 2));
}

TEST(Sleeve, WithAndWithoutPasswordDoNotMix) {
  SleeveNet net(2);
  net.start(1, "secret"), net.start(2);
  EXPECT_TRUE(eventually([&] { return net.status(2, 1).problem.find("told of none") != std::string::npos; }));
  EXPECT_TRUE(net.unreachable(2, 1));
  EXPECT_TRUE(net.unreachable(1, 2));
}

TEST(Sleeve, KeysChangeUnderTrafficWithoutLoss) {
  SleeveNet net(2);
  const auto soon = std::chrono::milliseconds(300);
  connect(net, "secret", soon);
  auto out = net.box.run("n1", {"busybox", "ping", "-c", "200", "-i", "0.02", "-W", "5", net.pod(2)}, 60).out;
  EXPECT_NE(out.find("200 packets received"), std::string::npos) << out;
  EXPECT_TRUE(net.transfer(2, 1, 20 * kMegabyte));
  EXPECT_TRUE(eventually([&] { return net.sleeves[1]->counters().rekeyed >= 3; }));
  EXPECT_EQ(net.sleeves[1]->counters().refused, 0u);
}

TEST(Sleeve, ARestartedPeerIsSpokenToAgain) {
  SleeveNet net(2);
  connect(net, "secret");
  for (int i : {2, 1}) {
    net.stop(i);
    net.start(i, "secret");
    EXPECT_TRUE(eventually([&] { return net.ping(1, 2); })) << i;
  }
}

TEST(Sleeve, APathThatCarriesLessThanItSaysIsMeasured) {
  SleeveNet net(2);
  for (int i : {1, 2}) {
    net.without_segmentation_offload(i);
    net.nft(i, "udp dport 6783 meta length > 1300 drop");
  }
  connect(net, "secret");
  const unsigned carries = 1300 - 28 - 24 - 16;
  EXPECT_TRUE(eventually([&] {
    auto mtu = net.status(1, 2).mtu;
    return mtu <= carries && mtu + 8 >= carries;
  })) << net.status(1, 2).mtu;
  EXPECT_TRUE(eventually([&] { return net.status(2, 1).mtu <= carries; }));
  // The pods' MTU is 1450 all the same, and all of it passes.
  EXPECT_TRUE(net.ping(1, 2, 1422));
  EXPECT_TRUE(net.transfer(1, 2, 10 * kMegabyte));
}

TEST(Sleeve, LossCostsSpeedAndNothingElse) {
  SleeveNet net(2);
  for (int i : {1, 2}) {
    net.without_segmentation_offload(i);
    net.nft(i, "udp dport 6783 numgen random mod 10 0 drop");
  }
  connect(net, "secret");
  EXPECT_TRUE(net.transfer(1, 2, 256 * 1024));
  EXPECT_TRUE(eventually([&] { return net.ping(1, 2, 1422); }));
}

// True once a stream is carried without any train.
bool trains_rest(SleeveNet& net) {
  return eventually([&] {
    const auto before = net.sleeves[1]->counters().trains_sent;
    return net.transfer(1, 2, 256 * 1024) && net.sleeves[1]->counters().trains_sent == before;
  });
}

TEST(Sleeve, SuperPacketsGoWholeWhereNothingIsLost) {
  for (std::string password : {"", "secret"}) {
    SleeveNet net(2);
    connect(net, password);
    EXPECT_TRUE(
        eventually([&] { return net.transfer(1, 2, kMegabyte) && net.sleeves[1]->counters().trains_sent > 0; }));
    EXPECT_TRUE(net.transfer(1, 2, 20 * kMegabyte));
    EXPECT_TRUE(net.transfer(2, 1, 5 * kMegabyte));
    const auto sent = net.sleeves[1]->counters(), got = net.sleeves[2]->counters();
    EXPECT_EQ(got.trains_received, sent.trains_sent);
    EXPECT_EQ(got.malformed + got.refused + got.foreign + got.replayed, 0u);
    EXPECT_GT(sent.trains_received, 0u);
    if (password.empty()) continue;
    // A piece of one that came is nothing new.
    std::thread stream([&] { EXPECT_TRUE(net.transfer(1, 2, 5 * kMegabyte)); });
    auto piece = net.capture(2, Kind::kTrain);  // the first one, and with it what the kernel keeps together
    stream.join();
    ASSERT_GT(piece.size(), 100u);
    piece.resize(100);
    for (int i = 0; i < 5; ++i) net.send_raw(1, 2, piece);
    EXPECT_TRUE(eventually([&] { return net.sleeves[2]->counters().replayed >= 5; }));
  }
}

TEST(Sleeve, WhereDatagramsAreLostPacketsGoOneByOne) {
  for (std::string password : {"", "secret"}) {
    SleeveNet net(2);
    connect(net, password);
    EXPECT_TRUE(
        eventually([&] { return net.transfer(1, 2, kMegabyte) && net.sleeves[1]->counters().trains_sent > 0; }));
    net.without_segmentation_offload(1);
    net.nft(2, "udp dport 6783 meta length > 1000 numgen random mod 50 0 drop");
    EXPECT_TRUE(trains_rest(net));
  }
}

TEST(Sleeve, ADeletedDeviceIsMadeAnew) {
  SleeveNet net(2);
  connect(net);
  ASSERT_TRUE(net.box.sh("n1", "ip link del lab-sleeve").ok());
  EXPECT_TRUE(eventually([&] { return net.box.sh("n1", "ip link show lab-sleeve").ok(); }));
  net.route(1);
  EXPECT_TRUE(eventually([&] { return net.ping(1, 2); }));
}

TEST(Sleeve, AThirdPeerForwards) {
  for (std::string password : {"", "secret"}) {
    SleeveNet net(3);
    net.nft(1, "ip saddr " + net.underlay(3).text() + " drop");
    net.nft(3, "ip saddr " + net.underlay(1).text() + " drop");
    for (int i : {1, 2, 3}) net.start(i, password);
    expect_established(net, 1, 2);
    EXPECT_TRUE(net.unreachable(1, 3));
    net.sleeves[1]->set_next_hops({{net.id(3), net.id(2)}});
    net.sleeves[3]->set_next_hops({{net.id(1), net.id(2)}});
    expect_established(net, 1, 3);
    EXPECT_EQ(net.status(1, 3).via, "n2");
    EXPECT_TRUE(net.ping(1, 3, 1422));
    EXPECT_TRUE(net.transfer(1, 3, 10 * kMegabyte));
    EXPECT_GT(net.sleeves[2]->counters().forwarded, 1000u);
    EXPECT_EQ(net.status(2, 1).bytes_received, 0u) << "what is forwarded is not taken in";
  }
}

TEST(Sleeve, PacketsDoNotGoInCirclesForEver) {
  SleeveNet net(4);
  for (int i : {1, 2, 3, 4}) net.start(i);
  expect_established(net, 1, 2);
  // 2 and 4 each hold that the other leads to 3.
  net.sleeves[1]->set_next_hops({{net.id(3), net.id(2)}});
  net.sleeves[2]->set_next_hops({{net.id(3), net.id(4)}});
  net.sleeves[4]->set_next_hops({{net.id(3), net.id(2)}});
  EXPECT_TRUE(net.unreachable(1, 3));
  EXPECT_TRUE(eventually([&] { return net.sleeves[2]->counters().expired + net.sleeves[4]->counters().expired > 0; }));
}

TEST(Sleeve, AReplayedPacketIsRefused) {
  SleeveNet net(2);
  connect(net, "secret");
  std::thread pings([&] { net.box.run("n1", {"busybox", "ping", "-c20", "-i0.05", net.pod(2)}); });
  auto packet = net.capture(2, Kind::kPacket);
  pings.join();
  ASSERT_FALSE(packet.empty());
  const auto before = net.sleeves[2]->counters();
  const auto received = net.status(2, 1).packets_received;
  for (int i = 0; i < 10; ++i) net.send_raw(1, 2, packet);
  EXPECT_TRUE(eventually([&] { return net.sleeves[2]->counters().replayed >= before.replayed + 10; }));
  EXPECT_EQ(net.status(2, 1).packets_received, received);
  // Changed in any place, it is a forgery.
  for (std::size_t at : {std::size_t(1), std::size_t(16), std::size_t(30), packet.size() - 1}) {
    auto bad = packet;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    net.send_raw(1, 2, bad);
  }
  EXPECT_TRUE(eventually([&] { return net.sleeves[2]->counters().refused > before.refused; }));
  EXPECT_EQ(net.status(2, 1).packets_received, received);
  EXPECT_TRUE(net.ping(1, 2));
}

// A peer that is one of us may still not speak for another one's pods.
TEST(Sleeve, ForeignSourcesAreRefused) {
  SleeveNet net(3);
  for (int i : {1, 2, 3}) net.start(i);
  expect_established(net, 1, 2);
  net.box.sh("n1", "ip addr add 10.244.3.9/32 dev lo");
  net.box.run("n1", {"busybox", "ping", "-c2", "-W1", "-I", "10.244.3.9", net.pod(2)});
  EXPECT_TRUE(eventually([&] { return net.sleeves[2]->counters().foreign > 0; }));
}

TEST(Sleeve, GarbageDoesNoHarm) {
  for (std::string password : {"", "secret"}) {
    SleeveNet net(2);
    connect(net, password);
    std::mt19937 random(7);
    std::thread pings([&] { net.box.run("n1", {"busybox", "ping", "-c20", "-i0.05", "-s600", net.pod(2)}); });
    const auto real = net.capture(2, Kind::kPacket);
    pings.join();
    ASSERT_FALSE(real.empty());
    for (int i = 0; i < 2000; ++i) {
      std::string datagram = real;
      if (i % 3 == 0) datagram.resize(random() % (real.size() + 1));
      if (i % 3 != 1) {
        for (int k = 0; k < 4 && !datagram.empty(); ++k)
          datagram[random() % datagram.size() % 60] = static_cast<char>(random());
      }
      // The head stays one of ours most of the time, of every kind: so the parsers behind it get something to do.
      if (!datagram.empty()) datagram[0] = static_cast<char>(0x10 | random() % 9);
      if (datagram.size() > 16 && random() % 4) datagram.replace(4, 12, real, 4, 12);
      net.send_raw(1, 2, datagram);
    }
    EXPECT_TRUE(eventually([&] {
      auto c = net.sleeves[2]->counters();
      return c.malformed + c.refused + c.unknown > 100;
    }));
    EXPECT_TRUE(eventually([&] { return net.ping(1, 2, 1422); }));
    EXPECT_TRUE(net.transfer(1, 2, kMegabyte));
  }
}

}  // namespace
}  // namespace lab
