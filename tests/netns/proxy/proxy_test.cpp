// The proxy's rules in the real kernel, with real TCP and UDP. Two nodes on one wire with routed pod ranges, pods on
// the first node's bridge, a machine outside.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "base/netlink/sysctl.h"
#include "orchestrator/proxy/executor.h"
#include "orchestrator/proxy/frontend.h"
#include "tests/netns/support/sandbox.h"

namespace lab::proxy {
namespace {

using test::eventually;
using test::must;

const Cidr kServices = *Cidr::parse("10.96.0.0/12");

struct ProxyTest : testing::Test {
  test::Sandbox box;
  Ruleset ruleset{{*Cidr::parse("10.244.0.0/16")}};
  std::optional<Executor> executor;
  std::map<std::string, pid_t> servers;

  void SetUp() override {
    box.add("wire");
    must(must(Netlink::open_in(box.ns("wire"))).create_bridge({.name = "br0", .up = true}));
    for (const char* node : {"n1", "n2"}) {
      box.add(node);
      auto n = must(Netlink::open_in(box.ns(node)));
      must(n.create_bridge({.name = "lab0", .up = true}));
      bool first = std::string(node) == "n1";
      must(n.replace_address({must(n.link("lab0")).index, *Cidr::parse(first ? "10.244.1.1/24" : "10.244.2.1/24")}));
      box.plug(node, "eth0", first ? "192.168.77.1/24" : "192.168.77.2/24", "wire", "br0");
      must(n.replace_route({.destination = *Cidr::parse(first ? "10.244.2.0/24" : "10.244.1.0/24"),
                            .gateway = *IpAddress::parse(first ? "192.168.77.2" : "192.168.77.1"),
                            .link = must(n.link("eth0")).index}));
      must(in_netns(box.ns(node), [] { return set_sysctl("net/ipv4/ip_forward", "1"); }));
      must(in_netns(box.ns(node), [] { return set_sysctl("net/bridge/bridge-nf-call-iptables", "1"); }));
    }
    box.add("outside");
    box.plug("outside", "eth0", "192.168.77.200/24", "wire", "br0");
    must(must(Netlink::open_in(box.ns("outside")))
             .replace_route({.destination = kServices, .gateway = *IpAddress::parse("192.168.77.1"), .link = 2}));
    executor.emplace(must(in_netns(box.ns("n1"), [] { return Executor::open(kServices); })));
    must(inside([&] { return executor->prepare(); }));
    must(inside([&] { return executor->run(ruleset.full_script()); }));
  }

  Result<void> inside(std::function<Result<void>()> f) { return in_netns(box.ns("n1"), std::move(f)); }

  void pod(const std::string& name, const std::string& address, const std::string& node = "n1") {
    box.add(name);
    box.plug(name, "eth0", address + "/24", node, "lab0");
    auto outer = must(Netlink::open_in(box.ns(node)));
    must(outer.set_hairpin(must(outer.link("p-" + name)).index, true));
    auto n = must(Netlink::open_in(box.ns(name)));
    auto gateway = node == "n1" ? "10.244.1.1" : "10.244.2.1";
    must(n.replace_route({.destination = *Cidr::parse("0.0.0.0/0"),
                          .gateway = *IpAddress::parse(gateway),
                          .link = must(n.link("eth0")).index}));
  }
  // Answers "NAME CLIENT-ADDRESS" on TCP 8080 and UDP 5353.
  void server(const std::string& name) {
    servers[name] = box.background(
        name, {"socat", "TCP4-LISTEN:8080,fork,reuseaddr,backlog=64", "SYSTEM:echo " + name + " $SOCAT_PEERADDR"});
    box.background(name, {"python3", "-c",
                          "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('',5353))\n"
                          "while 1:\n m,a=s.recvfrom(99);s.sendto((sys.argv[1]+' '+a[0]+'\\n').encode(),a)",
                          name});
    ASSERT_TRUE(eventually([&] { return udp(name, "127.0.0.1:5353").starts_with(name); }));
    ASSERT_TRUE(eventually([&] { return box.sh(name, "echo | socat -T2 - TCP4:127.0.0.1:8080").ok(); }));
  }
  // A Service (fields of its spec) and its endpoints: "ADDRESS@NODE".
  Change apply(const std::string& name, json::Value spec, const std::vector<std::string>& endpoints) {
    json::Value service = json::Object{{"spec", std::move(spec)}};
    json::Array items;
    for (const auto& e : endpoints) {
      auto at = e.find('@');
      items.push_back(
          json::Object{{"addresses", json::Array{json::Value(e.substr(0, at))}}, {"nodeName", e.substr(at + 1)}});
    }
    json::Value slice =
        json::Object{{"addressType", "IPv4"},
                     {"ports", json::Array{json::Object{{"name", "t"}, {"port", 8080}, {"protocol", "TCP"}},
                                           json::Object{{"name", "u"}, {"port", 5353}, {"protocol", "UDP"}}}},
                     {"endpoints", std::move(items)}};
    auto change = ruleset.update(name, rules_of(service, {&slice}, "n1", {}));
    must(inside([&]() -> Result<void> {
      LAB_CHECK(executor->run(change.script));
      return executor->forget(change.stale, change.sticky_gone);
    }));
    return change;
  }
  static json::Value spec(json::Object more = {}) {
    json::Object out{
        {"clusterIP", "10.96.0.5"},
        {"ports", json::Array{json::Object{{"name", "t"}, {"port", 80}, {"protocol", "TCP"}, {"nodePort", 30080}},
                              json::Object{{"name", "u"}, {"port", 80}, {"protocol", "UDP"}, {"nodePort", 30080}}}}};
    for (auto& [k, v] : more) out[k] = v;
    return out;
  }
  std::string tcp(const std::string& from, const std::string& to, const std::string& options = "") {
    auto out = box.run(from, {"socat", "-T3", "-", "TCP4:" + to + ",connect-timeout=2" + options}).out;
    return out.substr(0, out.find('\n'));
  }
  std::string udp(const std::string& from, const std::string& to) {
    auto out = box.sh(from, "echo q | socat -t1 -T2 - UDP4:" + to).out;
    return out.substr(0, out.find('\n'));
  }
  bool refused(const std::string& from, const std::string& to) {
    return tcp(from, to).find("refused") != std::string::npos;
  }
};

TEST_F(ProxyTest, ClusterIpFromPodsNodeAndOutside) {
  pod("a", "10.244.1.2");
  pod("c", "10.244.1.4");
  pod("q", "10.244.2.2", "n2");
  server("a");
  server("q");
  apply("s", spec(), {"10.244.1.2@n1"});
  EXPECT_EQ(tcp("c", "10.96.0.5:80"), "a 10.244.1.4");        // same bridge, source kept
  EXPECT_EQ(tcp("a", "10.96.0.5:80"), "a 10.244.1.1");        // itself: hairpin
  EXPECT_EQ(tcp("n1", "10.96.0.5:80").substr(0, 2), "a ");    // the node
  EXPECT_EQ(tcp("outside", "10.96.0.5:80"), "a 10.244.1.1");  // an outsider, masqueraded
  EXPECT_EQ(udp("c", "10.96.0.5:80"), "a 10.244.1.4");
  apply("s", spec(), {"10.244.2.2@n2"});
  EXPECT_EQ(tcp("c", "10.96.0.5:80"), "q 10.244.1.4");  // another node, source kept
  EXPECT_EQ(tcp("n1", "10.96.0.5:80"), "q 10.244.1.1");
}

TEST_F(ProxyTest, AllEndpointsGetAShare) {
  for (const char* p : {"a", "b"}) {
    pod(p, std::string("10.244.1.") + (*p == 'a' ? "2" : "3"));
    server(p);
  }
  pod("c", "10.244.1.4");
  apply("s", spec(), {"10.244.1.2@n1", "10.244.1.3@n1"});
  std::map<std::string, int> seen;
  for (int i = 0; i < 40; ++i) ++seen[tcp("c", "10.96.0.5:80").substr(0, 1)];
  EXPECT_EQ(seen["a"] + seen["b"], 40);
  EXPECT_GE(seen["a"], 5);  // fewer than 5 of 40 by a fair choice: once in ten million runs
  EXPECT_GE(seen["b"], 5);
  // Down to one, incrementally: nobody is sent to the one that left.
  apply("s", spec(), {"10.244.1.3@n1"});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(tcp("c", "10.96.0.5:80"), "b 10.244.1.4");
}

TEST_F(ProxyTest, NodePortsFromEverywhere) {
  pod("a", "10.244.1.2");
  pod("q", "10.244.2.2", "n2");
  server("a");
  server("q");
  apply("s", spec({{"type", "NodePort"}}), {"10.244.1.2@n1"});
  EXPECT_EQ(tcp("outside", "192.168.77.1:30080"), "a 10.244.1.1");
  EXPECT_EQ(udp("outside", "192.168.77.1:30080"), "a 10.244.1.1");
  EXPECT_EQ(tcp("n1", "192.168.77.1:30080"), "a 10.244.1.1");
  EXPECT_EQ(tcp("n1", "127.0.0.1:30080"), "a 10.244.1.1");
  EXPECT_EQ(tcp("a", "192.168.77.1:30080"), "a 10.244.1.1");
  apply("s", spec({{"type", "NodePort"}}), {"10.244.2.2@n2"});
  EXPECT_EQ(tcp("outside", "192.168.77.1:30080"), "q 192.168.77.1");
  EXPECT_EQ(tcp("n1", "127.0.0.1:30080"), "q 192.168.77.1");
  // Nobody outside reaches the loopback address through the node.
  must(must(Netlink::open_in(box.ns("outside")))
           .replace_route(
               {.destination = *Cidr::parse("127.0.0.9/32"), .gateway = *IpAddress::parse("192.168.77.1"), .link = 2}));
  EXPECT_EQ(tcp("outside", "127.0.0.9:30080").find("q "), std::string::npos);
}

TEST_F(ProxyTest, ExternalIpsAndPolicyLocal) {
  pod("a", "10.244.1.2");
  pod("c", "10.244.1.4");
  pod("q", "10.244.2.2", "n2");
  server("a");
  server("q");
  must(must(Netlink::open_in(box.ns("outside")))
           .replace_route({.destination = *Cidr::parse("198.51.100.7/32"),
                           .gateway = *IpAddress::parse("192.168.77.1"),
                           .link = 2}));
  must(must(Netlink::open_in(box.ns("n2")))
           .replace_route({.destination = *Cidr::parse("192.168.77.200/32"),
                           .gateway = *IpAddress::parse("192.168.77.1"),
                           .link = must(must(Netlink::open_in(box.ns("n2"))).link("eth0")).index}));
  json::Object local{{"type", "NodePort"},
                     {"externalTrafficPolicy", "Local"},
                     {"externalIPs", json::Array{json::Value("198.51.100.7")}}};
  apply("s", spec(local), {"10.244.1.2@n1", "10.244.2.2@n2"});
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(tcp("outside", "192.168.77.1:30080"), "a 192.168.77.200");  // only here, and the client's own address
    EXPECT_EQ(tcp("outside", "198.51.100.7:80"), "a 192.168.77.200");
  }
  // No endpoint here: silence for the outside, all endpoints for those inside.
  apply("s", spec(local), {"10.244.2.2@n2"});
  EXPECT_NE(tcp("outside", "192.168.77.1:30080").find("imed out"), std::string::npos);
  EXPECT_EQ(tcp("c", "192.168.77.1:30080"), "q 10.244.1.4");
  EXPECT_EQ(tcp("c", "198.51.100.7:80"), "q 10.244.1.4");
  EXPECT_EQ(tcp("n1", "192.168.77.1:30080"), "q 192.168.77.1");
}

TEST_F(ProxyTest, ServicesWithoutEndpointsAndStrayPortsAreRefusedAtOnce) {
  pod("c", "10.244.1.4");
  apply("s", spec({{"type", "NodePort"}}), {});
  for (const char* from : {"c", "n1"}) {
    EXPECT_TRUE(refused(from, "10.96.0.5:80")) << from;
    EXPECT_TRUE(refused(from, "10.96.0.5:81")) << from;
  }
  EXPECT_TRUE(refused("outside", "192.168.77.1:30080"));
  apply("s", json::Object{}, {});
  EXPECT_NE(must(in_netns(box.ns("n1"), [&] { return Nft::open()->run("list table ip lab-proxy"); })).find("pod-cidrs"),
            std::string::npos);
}

TEST_F(ProxyTest, SessionAffinityHoldsUntilTheEndpointGoesOrTimePasses) {
  for (const char* p : {"a", "b"}) {
    pod(p, std::string("10.244.1.") + (*p == 'a' ? "2" : "3"));
    server(p);
  }
  pod("c", "10.244.1.4");
  json::Object sticky{{"type", "NodePort"},
                      {"sessionAffinity", "ClientIP"},
                      {"sessionAffinityConfig", json::Object{{"clientIP", json::Object{{"timeoutSeconds", 3}}}}}};
  apply("s", spec(sticky), {"10.244.1.2@n1", "10.244.1.3@n1"});
  auto first = tcp("c", "10.96.0.5:80");
  for (int i = 0; i < 15; ++i) EXPECT_EQ(tcp("c", "10.96.0.5:80"), first);
  auto outside = tcp("outside", "192.168.77.1:30080");
  for (int i = 0; i < 15; ++i) EXPECT_EQ(tcp("outside", "192.168.77.1:30080"), outside);
  // A third endpoint disturbs nobody; the chosen one leaving moves its clients at once.
  bool on_a = first[0] == 'a';
  apply("s", spec(sticky), {on_a ? "10.244.1.3@n1" : "10.244.1.2@n1"});
  EXPECT_EQ(tcp("c", "10.96.0.5:80"), on_a ? "b 10.244.1.4" : "a 10.244.1.4");
  // After the timeout the choice is free again.
  apply("s", spec(sticky), {"10.244.1.2@n1", "10.244.1.3@n1"});
  std::set<std::string> seen;
  EXPECT_TRUE(eventually(
      [&] {
        box.sh("c", "sleep 4");
        seen.insert(tcp("c", "10.96.0.5:80"));
        return seen.size() == 2;
      },
      100));
}

TEST_F(ProxyTest, UdpClientsThatKeepTheirPortFollowTheEndpoints) {
  for (const char* p : {"a", "b"}) {
    pod(p, std::string("10.244.1.") + (*p == 'a' ? "2" : "3"));
    server(p);
  }
  pod("c", "10.244.1.4");
  auto ask = [&] {
    auto out = box.sh("c", "echo q | socat -t1 -T2 - UDP4:10.96.0.5:80,sourceport=7777,reuseaddr").out;
    return out.substr(0, 1);
  };
  apply("s", spec(), {});
  EXPECT_NE(ask(), "a");
  apply("s", spec(), {"10.244.1.2@n1"});
  EXPECT_EQ(ask(), "a");
  apply("s", spec(), {"10.244.1.3@n1"});
  EXPECT_EQ(ask(), "b");
}

TEST_F(ProxyTest, ConnectionsSurviveAReplacedTable) {
  pod("a", "10.244.1.2");
  pod("c", "10.244.1.4");
  box.background("a", {"socat", "TCP4-LISTEN:8080,fork,reuseaddr", "PIPE"});
  apply("s", spec(), {"10.244.1.2@n1"});
  std::string answer;
  ASSERT_TRUE(eventually([&] { return tcp("c", "10.96.0.5:80").empty(); }));
  std::thread client(
      [&] { answer = box.sh("c", "(echo one; sleep 2; echo two; sleep 1) | socat -T10 - TCP4:10.96.0.5:80").out; });
  box.sh("n1", "sleep 1");
  must(inside([&] { return executor->run(ruleset.full_script()); }));
  client.join();
  EXPECT_EQ(answer, "one\ntwo\n");
}

TEST_F(ProxyTest, CleanUpLeavesNothing) {
  apply("s", spec(), {"10.244.1.2@n1"});
  EXPECT_TRUE(must(in_netns(box.ns("n1"), [&] { return executor->table_is_there(); })));
  must(inside([] { return Executor::clean_up(); }));
  must(inside([] { return Executor::clean_up(); }));
  EXPECT_EQ(box.sh("n1", "nft list ruleset").out, "");
  for (const auto& line : box.describe("n1")) {
    EXPECT_EQ(line.find("10.96"), std::string::npos) << line;
    EXPECT_EQ(line.find("lab-services"), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace lab::proxy
