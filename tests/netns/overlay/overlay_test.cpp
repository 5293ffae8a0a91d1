// The pod network over three nodes: real kernel, real agents, real plugin.
#include <algorithm>
#include <thread>

#include "overlay-net/agent/agent.h"
#include "tests/netns/overlay/cluster.h"
#include "tests/netns/support/probe.h"

namespace lab {
namespace {

using test::Cluster;
using test::eventually;

struct OverlayTest : testing::Test {
  Cluster c;
  void start_all() {
    for (int i = 1; i <= 3; ++i) c.start(i);
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(c.ready(i)) << json::dump(c.status(i));
  }
  void start_other_two() {
    for (int i : {2, 3}) c.start(i);
    for (int i : {2, 3}) ASSERT_TRUE(c.ready(i)) << json::dump(c.status(i));
  }
};

TEST_F(OverlayTest, PodsReachPodsOnEveryNodeWithTheirOwnAddress) {
  start_all();
  auto a = c.add_pod(1, "a"), b = c.add_pod(2, "b"), b2 = c.add_pod(2, "b2"), d = c.add_pod(3, "d");
  EXPECT_EQ(a, "10.244.1.2");
  EXPECT_EQ(b2, "10.244.2.3");
  EXPECT_TRUE(c.ping("a", b));
  EXPECT_TRUE(c.ping("a", d));
  EXPECT_TRUE(c.ping("b", b2));
  EXPECT_TRUE(c.ping("d", a));
  // Full-size packets fit, one byte more does not: the MTU says what the path carries.
  EXPECT_TRUE(c.box.sh("a", "busybox ip link show eth0 | grep -q 'mtu 1450'").ok());
  EXPECT_TRUE(c.ping("a", b, 1450 - 28));
  // Nodes reach pods; pods reach nodes.
  EXPECT_TRUE(c.ping("n1", b));
  EXPECT_TRUE(c.ping("n1", a));
  EXPECT_TRUE(c.ping("a", Cluster::address(2)));
  // TCP, and the other side sees the pod's own address.
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  EXPECT_EQ(test::ask_tcp(c.box.ns("a"), b + ":8000"), "from " + a);
}

TEST_F(OverlayTest, OutsideSeesTheNode) {
  start_all();
  c.add_pod(1, "a");
  c.box.add("outside");
  c.box.plug("outside", "eth0", "192.168.77.200/24", "wire", "br0");
  test::AnswerServer server(c.box.ns("outside"), {.word = "from", .tcp = 8000});
  EXPECT_EQ(test::ask_tcp(c.box.ns("a"), "192.168.77.200:8000"), "from " + Cluster::address(1));
}

TEST_F(OverlayTest, AgentsDieAndComeBackWithoutALostPacket) {
  start_all();
  auto a = c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  ASSERT_TRUE(c.ping("a", b));
  auto before1 = c.box.describe("n1");
  Finished pings;
  std::thread pinger([&] { pings = c.box.run("a", {"busybox", "ping", "-c", "100", "-i", "0.02", "-W", "2", b}, 60); });
  for (int i : {1, 2}) {
    c.kill(i);
    c.start(i);
    EXPECT_TRUE(c.ready(i));
  }
  pinger.join();
  EXPECT_NE(pings.out.find("100 packets received"), std::string::npos) << pings.out;
  EXPECT_EQ(c.box.describe("n1"), before1);
  // Allocations are remembered: the next pod gets another address, the old one can be given back.
  EXPECT_EQ(c.add_pod(1, "a2"), "10.244.1.3");
  EXPECT_TRUE(c.cni(1, "DEL", "a", c.box.path("a")).ok());
}

// One TCP connection at full speed, on which something arrives in every half second, whoever is away.
TEST_F(OverlayTest, AnIperfConnectionOutlivesItsAgents) {
  start_all();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  ASSERT_TRUE(c.ping("a", b));
  c.box.background("b", {"iperf3", "-s", "-1", "-p", "5201"});
  ASSERT_TRUE(eventually([&] { return c.box.sh("b", "ss -ltn | grep -q :5201").ok(); }));
  Finished measured;
  std::thread traffic(
      [&] { measured = c.box.run("a", {"iperf3", "-c", b, "-p", "5201", "-t", "4", "-i", "0.5", "-J"}, 60); });
  for (int i : {1, 2}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    c.kill(i);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // nobody is there
    c.start(i);
    EXPECT_TRUE(c.ready(i));
  }
  traffic.join();
  ASSERT_TRUE(measured.ok()) << measured.out;
  auto report = json::parse(measured.out);
  ASSERT_TRUE(report) << measured.out;
  EXPECT_EQ(json::str(*report, "error"), "");
  EXPECT_GE(json::list(*report, "intervals").size(), 8u);
  for (const auto& interval : json::list(*report, "intervals"))
    EXPECT_GT(json::num(interval, "sum", "bytes"), 0) << measured.out;
  EXPECT_GT(json::num(*report, "end", "sum_received", "bytes"), 0);
}

TEST_F(OverlayTest, APeerThatGoesIsRemovedAndComesBack) {
  start_all();
  auto a = c.add_pod(1, "a");
  auto d = c.add_pod(3, "d");
  ASSERT_TRUE(c.ping("a", d));
  auto all = *fs::read_file(c.box.directory() + "/peers");
  c.write_peers(all.substr(0, all.find("n3")));
  auto mentions = [&](const std::string& what) {
    auto lines = c.box.describe("n1");
    return std::ranges::any_of(lines, [&](const auto& l) { return l.find(what) != std::string::npos; });
  };
  EXPECT_TRUE(eventually([&] { return !mentions("10.244.3.0") && !mentions(Cluster::address(3)); }));
  EXPECT_TRUE(mentions("10.244.2.0"));
  EXPECT_FALSE(c.ping("a", d));
  c.write_peers(all);
  EXPECT_TRUE(eventually([&] { return c.ping("a", d); }));
}

TEST_F(OverlayTest, APeerThatMovesIsFollowed) {
  start_all();
  auto a = c.add_pod(1, "a");
  auto d = c.add_pod(3, "d");
  ASSERT_TRUE(c.ping("a", d));
  c.kill(3);
  auto all = *fs::read_file(c.box.directory() + "/peers");
  auto at = all.find(Cluster::address(3));
  c.write_peers(all.replace(at, Cluster::address(3).size(), "192.168.77.33"));
  auto n3 = test::must(Netlink::open_in(c.box.ns("n3")));
  int eth0 = test::must(n3.link("eth0")).index;
  test::must(n3.replace_address({eth0, *Cidr::parse("192.168.77.33/24")}));
  test::must(n3.delete_address({eth0, *Cidr::parse("192.168.77.3/24")}));
  test::must(n3.replace_address({eth0, *Cidr::parse("192.168.77.33/24")}));
  c.agents["n3"] = c.box.background("n3", {OVERLAY_NODE, "n3", "192.168.77.33", Cluster::range(3), c.dir(3)});
  EXPECT_TRUE(eventually([&] { return c.ping("a", d); }));
}

TEST_F(OverlayTest, WhatIsBrokenBehindOurBackIsPutRight) {
  start_all();
  auto a = c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  auto right = c.box.describe("n1");
  auto n1 = test::must(Netlink::open_in(c.box.ns("n1")));
  auto vxlan = test::must(n1.link("lab-vxlan"));
  test::must(n1.delete_link(vxlan.index));
  EXPECT_TRUE(eventually([&] { return c.box.describe("n1") == right; }));
  EXPECT_TRUE(c.ping("a", b));
}

// A network of the host that has the pods' addresses: said with what to do, and taken up once it is out of the way.
TEST_F(OverlayTest, AHostRouteThatOverlapsIsNamedAndHarmsNobodyElse) {
  ASSERT_TRUE(
      c.box.sh("n1", "ip link add lan0 type bridge && ip link set lan0 up && ip route add 10.244.1.128/25 dev lan0")
          .ok());
  start_other_two();
  c.start(1);
  EXPECT_TRUE(eventually([&] {
    return json::dump(c.status(1)).find("overlaps the route to 10.244.1.128/25") != std::string::npos;
  })) << json::dump(c.status(1));
  EXPECT_FALSE(json::flag(c.status(1), "ready"));
  EXPECT_NE(c.box.sh("n1", "ip route").out.find("10.244.1.128/25 dev lan0"), std::string::npos) << "left as it is";
  c.add_pod(2, "b");
  auto d = c.add_pod(3, "d");
  EXPECT_TRUE(c.ping("b", d));
  ASSERT_TRUE(c.box.sh("n1", "ip link delete lan0").ok());
  ASSERT_TRUE(c.ready(1)) << json::dump(c.status(1));
  c.add_pod(1, "a");
  EXPECT_TRUE(c.ping("a", d));
}

TEST_F(OverlayTest, UnusablePeersAreNamedAndHarmNobody) {
  start_all();
  auto a = c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  auto all = *fs::read_file(c.box.directory() + "/peers");
  c.write_peers(all + "twin 192.168.77.9 10.244.2.0/24\nmine 192.168.77.8 10.244.1.0/25\n");
  EXPECT_TRUE(eventually([&] { return json::list(c.status(1), "warnings").size() == 2; })) << json::dump(c.status(1));
  EXPECT_TRUE(c.ping("a", b));
}

// A service's answer from a pod of the same node is translated back.
TEST_F(OverlayTest, PodsOfOneNodeReachEachOtherThroughAService) {
  // As the service proxy's device is.
  ASSERT_TRUE(c.box.sh("n1", "ip link add lab-services type bridge && ip link set lab-services up").ok());
  start_all();
  auto a = c.add_pod(1, "a"), a2 = c.add_pod(1, "a2");
  EXPECT_TRUE(c.ping("a", a2));
  test::AnswerServer server(c.box.ns("a2"), {.word = "from", .tcp = 8000});
  EXPECT_EQ(test::ask_tcp(c.box.ns("a"), a2 + ":8000"), "from " + a);
  ASSERT_TRUE(c.box
                  .sh("n1",
                      "nft 'table ip t { chain c { type nat hook prerouting priority -100; ip daddr 10.96.0.9 tcp "
                      "dport 80 dnat to " +
                          a2 + ":8000; }; }'")
                  .ok());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(test::ask_tcp(c.box.ns("a"), "10.96.0.9:80"), "from " + a);
}

// As with containers of Docker on the node: br_netfilter is theirs to have.
TEST_F(OverlayTest, BesideAnotherBridgeWithPortsServicesWorkAsWell) {
  ASSERT_TRUE(c.box
                  .sh("n1",
                      "ip link add docker0 type bridge && ip link add port0 type veth peer name port1 && "
                      "ip link set port0 master docker0")
                  .ok());
  start_all();
  auto a = c.add_pod(1, "a"), a2 = c.add_pod(1, "a2");
  test::AnswerServer server(c.box.ns("a2"), {.word = "from", .tcp = 8000});
  ASSERT_TRUE(c.box
                  .sh("n1",
                      "nft 'table ip t { chain c { type nat hook prerouting priority -100; ip daddr 10.96.0.9 tcp "
                      "dport 80 dnat to " +
                          a2 + ":8000; }; }'")
                  .ok());
  EXPECT_TRUE(
      eventually([&] { return test::ask_tcp(c.box.ns("a"), "10.96.0.9:80", std::chrono::seconds(1)) == "from " + a; }));
  EXPECT_EQ(c.box.sh("n1", "cat /proc/sys/net/bridge/bridge-nf-call-iptables").out, "1\n");
}

TEST_F(OverlayTest, TheTunnelItselfIsNotTracked) {
  start_all();
  auto a = c.add_pod(1, "a"), b = c.add_pod(2, "b");
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  EXPECT_EQ(test::ask_tcp(c.box.ns("a"), b + ":8000"), "from " + a);
  for (int i : {1, 2}) {
    auto flows = c.box.sh(Cluster::node(i), "cat /proc/net/nf_conntrack").out;
    EXPECT_NE(flows.find("dport=8000"), std::string::npos) << flows;
    EXPECT_EQ(flows.find("dport=6784"), std::string::npos) << flows;
  }
}

TEST_F(OverlayTest, CleanUpLeavesTheNodeAsItWas) {
  auto before = c.box.describe("n1");
  auto tables = c.box.sh("n1", "nft list ruleset").out;
  start_all();
  c.add_pod(1, "a");
  c.add_pod(1, "a2");
  EXPECT_NE(c.box.describe("n1"), before);
  c.kill(1);
  auto cleaned = in_netns(c.box.ns("n1"), [&] { return overlay::OverlayAgent::clean_up(c.dir(1) + "/net.d"); });
  EXPECT_TRUE(cleaned) << cleaned.error().text();
  EXPECT_EQ(c.box.describe("n1"), before);
  EXPECT_EQ(c.box.sh("n1", "cat /proc/sys/net/bridge/bridge-nf-call-iptables").out, "1\n");
  EXPECT_EQ(c.box.sh("n1", "nft list ruleset").out, tables);
  EXPECT_FALSE(fs::exists(c.dir(1) + "/net.d/10-lab.conflist"));
  EXPECT_TRUE(in_netns(c.box.ns("n1"), [&] { return overlay::OverlayAgent::clean_up(c.dir(1) + "/net.d"); }));
}

}  // namespace
}  // namespace lab
