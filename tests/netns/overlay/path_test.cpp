// What a network may do to the kernel's path, and how pods fare: real agents, real plugin.
#include <algorithm>
#include <optional>
#include <thread>

#include "tests/netns/overlay/cluster.h"
#include "tests/netns/support/probe.h"

namespace lab {
namespace {

using test::Cluster;
using test::eventually;

struct PathTest : testing::Test {
  Cluster c;
  std::string a, b;

  // Three agents, a pod "a" on the first and "b" on the second.
  void start_all(std::vector<std::string> more = {}) {
    for (int i = 1; i <= 3; ++i) c.start(i, more);
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(c.ready(i)) << json::dump(c.status(i));
    a = c.add_pod(1, "a");
    b = c.add_pod(2, "b");
  }
  json::Value peer(int i, int of) {
    auto s = c.status(i);
    for (const auto& p : json::list(s, "peers")) {
      if (json::str(p, "name") == Cluster::node(of)) return p;
    }
    return {};
  }
  bool is(int i, int of, const std::string& path) {
    return eventually(
        [&] { return json::str(peer(i, of), "path") == path && json::flag(peer(i, of), "pathEstablished"); });
  }
  std::string why(int i, int of) { return std::string(json::str(peer(i, of), "why")); }
  void nft(int i, const std::string& rules) {
    auto out = c.box.sh(Cluster::node(i),
                        "nft -f - <<'END'\nadd table ip t\nflush table ip t\ntable ip t {\nchain c {\n"
                        "type filter hook prerouting priority -400\n" +
                            rules + "\n}\n}\nEND\n");
    ASSERT_TRUE(out.ok()) << out.out;
  }
  void no_nft(int i) { c.box.sh(Cluster::node(i), "nft delete table ip t"); }
  // What encrypted packets take where all is well, here: tests must hold on kernels of either kind.
  bool has_wireguard() {
    if (!wireguard) {
      c.box.add("kernel");
      wireguard = c.box.sh("kernel", "ip link add wg0 type wireguard").ok();
    }
    return *wireguard;
  }
  std::string encrypted() { return has_wireguard() ? "wireguard" : "sleeve"; }
  std::optional<bool> wireguard;
  json::Value wireguard_of(int i) {
    auto s = c.status(i);
    return json::at(s, "wireguard");
  }
  std::string change_key(int i) {
    return c.box
        .run(Cluster::node(i), {"curl", "-s", "-m", "5", "-X", "POST", "--unix-socket", c.dir(i) + "/agent.sock",
                                "http://x/v1/net/wireguard-key"})
        .out;
  }
  bool has_route(int i, int to, const std::string& device) {
    auto out = c.box.sh(Cluster::node(i), "ip route show " + Cluster::range(to)).out;
    return out.find("dev " + device) != std::string::npos;
  }
};

TEST_F(PathTest, TheKernelsPathIsTakenWhileItWorks) {
  start_all();
  EXPECT_TRUE(is(1, 2, "fastdp")) << json::dump(c.status(1));
  EXPECT_EQ(json::num(peer(1, 2), "mtu"), 1450);
  EXPECT_EQ(why(1, 2), "");
  EXPECT_TRUE(has_route(1, 2, "lab-vxlan"));
  EXPECT_FALSE(json::flag(peer(1, 2), "encrypted"));
}

TEST_F(PathTest, ABlockedVxlanPortMovesThePeerAndBack) {
  start_all();
  ASSERT_TRUE(is(1, 2, "fastdp"));
  test::AnswerServer server(c.box.ns("b"), {.word = "hello", .tcp = 8000});
  test::Connection before(c.box.ns("a"), b + ":8000");
  EXPECT_EQ(before.line(), "hello " + a);
  for (int i : {1, 2}) nft(i, "udp dport 6784 drop");
  EXPECT_TRUE(is(1, 2, "sleeve")) << json::dump(peer(1, 2));
  EXPECT_TRUE(is(2, 1, "sleeve"));
  EXPECT_NE(why(1, 2).find("blocked"), std::string::npos) << why(1, 2);
  EXPECT_TRUE(has_route(1, 2, "lab-sleeve"));
  EXPECT_TRUE(c.ping("a", b));
  EXPECT_TRUE(c.ping("a", b, 1450 - 28));
  EXPECT_TRUE(c.ping("n1", b));
  before.say("still there?");
  EXPECT_EQ(before.line(), "still there?") << "connections stay";
  for (int i : {1, 2}) no_nft(i);
  EXPECT_TRUE(is(1, 2, "fastdp"));
  EXPECT_TRUE(is(2, 1, "fastdp"));
  EXPECT_EQ(why(1, 2), "");
  EXPECT_TRUE(has_route(1, 2, "lab-vxlan"));
  EXPECT_TRUE(c.ping("a", b, 1450 - 28));
  before.say("and now?");
  EXPECT_EQ(before.line(), "and now?");
}

TEST_F(PathTest, ALinkThatDropsLargePacketsIsNoticed) {
  start_all();
  ASSERT_TRUE(is(1, 2, "fastdp"));
  for (int i : {1, 2}) {
    c.box.sh(Cluster::node(i), "ip link set eth0 gso_max_segs 1");
    nft(i, "udp dport { 6783, 6784 } meta length > 1300 drop");
  }
  EXPECT_TRUE(is(1, 2, "sleeve")) << json::dump(peer(1, 2));
  EXPECT_NE(why(1, 2).find("MTU"), std::string::npos) << why(1, 2);
  EXPECT_TRUE(eventually([&] { return json::num(peer(1, 2), "mtu") <= 1300 - 28 - 24; }));
  EXPECT_TRUE(is(2, 1, "sleeve"));
  EXPECT_TRUE(eventually([&] { return c.ping("a", b, 1450 - 28); }));
}

// As a card does that fills in wrong checksums: what it should have summed up is dropped by the other side.
TEST_F(PathTest, AChecksumFaultIsNoticedAndNamed) {
  start_all();
  ASSERT_TRUE(is(1, 2, "fastdp"));
  for (int i : {1, 2}) nft(i, "iifname lab-vxlan udp checksum != 0 drop");
  EXPECT_TRUE(is(1, 2, "sleeve")) << json::dump(peer(1, 2));
  EXPECT_NE(why(1, 2).find("tx off"), std::string::npos) << why(1, 2);
  EXPECT_TRUE(eventually([&] { return c.ping("a", b); }));
}

TEST_F(PathTest, AnAgentThatIsAwayKeepsTheKernelsPath) {
  start_all();
  ASSERT_TRUE(is(1, 2, "fastdp"));
  Finished pings;
  std::thread pinger([&] { pings = c.box.run("a", {"busybox", "ping", "-c", "150", "-i", "0.02", "-W", "2", b}, 60); });
  c.kill(2);
  EXPECT_TRUE(eventually([&] { return why(1, 2).find("either path") != std::string::npos; })) << why(1, 2);
  EXPECT_EQ(json::str(peer(1, 2), "path"), "fastdp");
  c.start(2);
  EXPECT_TRUE(c.ready(2));
  EXPECT_TRUE(is(1, 2, "fastdp"));
  pinger.join();
  EXPECT_NE(pings.out.find("150 packets received"), std::string::npos) << pings.out;
}

TEST_F(PathTest, WhereTwoCannotReachOneAnotherAThirdForwards) {
  nft(1, "ip saddr " + Cluster::address(2) + " drop");
  nft(2, "ip saddr " + Cluster::address(1) + " drop");
  start_all({"mesh"});
  EXPECT_TRUE(is(1, 2, "sleeve")) << json::dump(peer(1, 2));
  EXPECT_EQ(json::str(peer(1, 2), "via"), "n3");
  EXPECT_TRUE(is(1, 3, "fastdp"));
  EXPECT_TRUE(is(2, 1, "sleeve"));
  EXPECT_TRUE(eventually([&] { return c.ping("a", b, 1450 - 28); }));
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  EXPECT_EQ(test::ask_tcp(c.box.ns("a"), b + ":8000"), "from " + a);
  // Healed, they speak directly again.
  for (int i : {1, 2}) no_nft(i);
  EXPECT_TRUE(is(1, 2, "fastdp")) << json::dump(peer(1, 2));
  EXPECT_TRUE(c.ping("a", b));
}

TEST_F(PathTest, APortThatWasTakenIsUsedOnceItIsFree) {
  std::optional<test::AnswerServer> holder;
  holder.emplace(c.box.ns("n1"), test::AnswerServer::Options{.word = "mine", .udp = 6783});
  start_all();
  ASSERT_TRUE(is(1, 2, "fastdp")) << json::dump(c.status(1));
  EXPECT_FALSE(c.box.sh("n1", "ip link show lab-sleeve").ok());
  for (int i : {1, 2}) nft(i, "udp dport 6784 drop");
  EXPECT_TRUE(eventually([&] { return why(1, 2).find("6783") != std::string::npos; })) << why(1, 2);
  holder.reset();
  EXPECT_TRUE(is(1, 2, "sleeve")) << json::dump(peer(1, 2));
  EXPECT_TRUE(is(2, 1, "sleeve")) << json::dump(peer(2, 1));
  EXPECT_TRUE(c.ping("a", b));
}

TEST_F(PathTest, EncryptedNothingGoesOverTheKernelsPath) {
  // VXLAN's port is WireGuard's where the kernel has it; neither ICMP nor TCP is ever seen as such.
  const std::string plain = has_wireguard() ? "iifname eth0 ip protocol != udp counter" : "udp dport 6784 counter";
  for (int i : {1, 2, 3}) nft(i, plain);
  start_all({"password=secret"});
  EXPECT_TRUE(is(1, 2, encrypted())) << json::dump(peer(1, 2));
  EXPECT_TRUE(is(2, 1, encrypted()));
  EXPECT_TRUE(json::flag(peer(1, 2), "encrypted"));
  EXPECT_TRUE(has_route(1, 2, has_wireguard() ? "lab-wg" : "lab-sleeve"));
  EXPECT_TRUE(c.ping("a", b, 1440 - 28));
  EXPECT_TRUE(c.ping("n1", b));
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  EXPECT_EQ(test::ask_tcp(c.box.ns("a"), b + ":8000"), "from " + a);
  for (int i : {1, 2, 3}) {
    EXPECT_NE(c.box.sh(Cluster::node(i), "nft list table ip t").out.find("packets 0"), std::string::npos) << i;
  }
  // While its agent is away there is no way out, though there is a route that would take the packets unencrypted.
  nft(2, "iifname eth0 ip saddr " + Cluster::range(1) + " counter");
  ASSERT_TRUE(c.box.sh("n1", "ip route add default via " + Cluster::address(2)).ok());
  c.kill(1);
  c.box.run("a", {"busybox", "ping", "-c2", "-W1", b});
  c.box.run("n1", {"busybox", "ping", "-c1", "-W1", b});
  EXPECT_NE(c.box.sh("n2", "nft list table ip t").out.find("packets 0"), std::string::npos);
  c.start(1, {"password=secret"});
  EXPECT_TRUE(c.ready(1));
  // Nor is what comes unencrypted taken in.
  c.box.add("outside");
  c.box.plug("outside", "eth0", "192.168.77.200/24", "wire", "br0");
  c.box.sh("outside", "ip addr add 10.244.1.77/32 dev lo; ip route add " + b + "/32 via " + Cluster::address(2));
  c.box.sh("b",
           "nft -f - <<'END'\ntable ip t {\nchain c {\ntype filter hook prerouting priority 0\n"
           "ip saddr 10.244.1.77 counter\n}\n}\nEND\n");
  c.box.run("outside", {"busybox", "ping", "-c2", "-W1", "-I", "10.244.1.77", b});
  EXPECT_NE(c.box.sh("b", "nft list table ip t").out.find("packets 0"), std::string::npos);
  // Restarted, it agrees on keys again.
  c.kill(2);
  c.start(2, {"password=secret"});
  EXPECT_TRUE(c.ready(2));
  EXPECT_TRUE(eventually([&] { return c.ping("a", b); }));
}

// On a kernel without WireGuard the sleeve does it and that is said; on one that has it, it is used. Whatever happens
// to the kernel's path, pods go on talking, encrypted.
TEST_F(PathTest, EncryptedPodsGoOnTalkingWhateverBecomesOfWireguard) {
  start_all({"password=secret"});
  EXPECT_TRUE(is(1, 2, encrypted())) << json::dump(c.status(1));
  EXPECT_TRUE(is(2, 1, encrypted())) << json::dump(c.status(2));
  EXPECT_EQ(json::num(c.status(1), "mtu"), 1440);
  EXPECT_EQ(why(1, 2), has_wireguard() ? "" : "this kernel has no WireGuard");
  EXPECT_EQ(json::str(wireguard_of(1), "why"), why(1, 2));
  EXPECT_EQ(json::str(wireguard_of(1), "publicKey").size(), has_wireguard() ? 44u : 0u);
  EXPECT_EQ(c.box.sh("n1", "ip link show lab-wg").ok(), has_wireguard());
  auto ping = [&](int count, const char* pause) {
    return c.box.run("a", {"busybox", "ping", "-c", std::to_string(count), "-i", pause, "-s", "1412", "-W", "2", b},
                     60);
  };
  // Its port is closed.
  for (int i : {1, 2}) nft(i, "udp dport 6784 drop");
  EXPECT_TRUE(is(1, 2, "sleeve")) << json::dump(peer(1, 2));
  EXPECT_TRUE(is(2, 1, "sleeve"));
  if (has_wireguard()) EXPECT_NE(why(1, 2).find("WireGuard port"), std::string::npos) << why(1, 2);
  EXPECT_TRUE(has_route(1, 2, "lab-sleeve"));
  EXPECT_TRUE(ping(1, "1").ok());
  for (int i : {1, 2}) no_nft(i);
  EXPECT_TRUE(is(1, 2, encrypted())) << json::dump(peer(1, 2));
  EXPECT_TRUE(is(2, 1, encrypted()));
  // A new key, under traffic: until all is as before.
  const int count = has_wireguard() ? 600 : 50;
  const auto before = std::string(json::str(wireguard_of(2), "publicKey"));
  Finished pings;
  std::thread pinger([&] { pings = ping(count, "0.02"); });
  const auto answer = change_key(2);
  if (has_wireguard()) {
    EXPECT_TRUE(eventually([&] {
      const auto now = std::string(json::str(wireguard_of(2), "publicKey"));
      return !now.empty() && now != before;
    }));
    EXPECT_TRUE(is(1, 2, "wireguard"));
  } else {
    EXPECT_NE(answer.find("this kernel has no WireGuard"), std::string::npos) << answer;
  }
  pinger.join();
  EXPECT_NE(pings.out.find(std::to_string(count) + " packets received"), std::string::npos)
      << pings.out.substr(pings.out.size() / 2);
  EXPECT_TRUE(is(1, 2, encrypted())) << json::dump(peer(1, 2));
}

// While the agents are away the kernel goes on encrypting, with the same keys when they are back.
TEST_F(PathTest, EncryptedAnAgentThatComesBackFindsItsKey) {
  start_all({"password=secret"});
  ASSERT_TRUE(is(1, 2, encrypted())) << json::dump(c.status(1));
  ASSERT_TRUE(is(2, 1, encrypted())) << json::dump(c.status(2));
  const auto before = std::string(json::str(wireguard_of(2), "publicKey"));
  Finished pings;
  std::thread pinger([&] { pings = c.box.run("a", {"busybox", "ping", "-c", "200", "-i", "0.02", "-W", "2", b}, 60); });
  c.kill(2);
  if (has_wireguard()) EXPECT_TRUE(c.ping("a", b));
  c.start(2, {"password=secret"});
  EXPECT_TRUE(c.ready(2));
  EXPECT_TRUE(is(1, 2, encrypted())) << json::dump(peer(1, 2));
  EXPECT_TRUE(is(2, 1, encrypted())) << json::dump(peer(2, 1));
  EXPECT_TRUE(eventually([&] { return c.ping("a", b, 1440 - 28); }));
  EXPECT_EQ(json::str(wireguard_of(2), "publicKey"), before);
  pinger.join();
  if (has_wireguard()) EXPECT_NE(pings.out.find("200 packets received"), std::string::npos) << pings.out;
  // A device that somebody deleted is there again, and with it the way.
  c.box.sh("n1", "ip link del lab-wg");
  EXPECT_TRUE(eventually([&] { return c.box.sh("n1", "ip link show lab-wg").ok() == has_wireguard(); }));
  EXPECT_TRUE(is(1, 2, encrypted())) << json::dump(peer(1, 2));
  EXPECT_TRUE(eventually([&] { return c.ping("a", b, 1440 - 28); }));
}

}  // namespace
}  // namespace lab
