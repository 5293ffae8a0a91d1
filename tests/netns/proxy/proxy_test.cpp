// The proxy's rules in the real kernel, with real TCP and UDP. Two nodes on one wire with routed pod ranges, pods on
// the first node's bridge, a machine outside.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <thread>

#include "base/netlink/sysctl.h"
#include "orchestrator/proxy/executor.h"
#include "orchestrator/proxy/frontend.h"
#include "tests/netns/support/probe.h"
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
  std::map<std::string, std::unique_ptr<test::AnswerServer>> servers;

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
    sync();
  }
  // What a proxy does when it starts, and whenever it is not sure of the kernel's state.
  void sync() {
    must(inside([&]() -> Result<void> {
      LAB_TRY(auto kernel, executor->list());
      LAB_CHECK(executor->run(ruleset.converge_script(kernel.value_or(Listing{}))));
      return executor->forget_unserved(ruleset.serving());
    }));
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
    servers[name] = std::make_unique<test::AnswerServer>(
        box.ns(name), test::AnswerServer::Options{.word = name, .tcp = 8080, .udp = 5353});
  }
  // A Service (fields of its spec) and its endpoints: "ADDRESS@NODE", "ADDRESS@NODE terminating".
  ServiceRules rules(json::Value spec, const std::vector<std::string>& endpoints) {
    return rules_with_status(json::Object{{"spec", std::move(spec)}}, endpoints);
  }
  ServiceRules rules_with_status(json::Value service, const std::vector<std::string>& endpoints) {
    json::Array items;
    for (const auto& e : endpoints) {
      auto at = e.find('@'), space = e.find(' ');
      bool terminating = space != std::string::npos;
      items.push_back(json::Object{
          {"addresses", json::Array{json::Value(e.substr(0, at))}},
          {"nodeName", e.substr(at + 1, terminating ? space - at - 1 : space)},
          {"conditions", json::Object{{"ready", !terminating}, {"serving", true}, {"terminating", terminating}}}});
    }
    json::Value slice =
        json::Object{{"addressType", "IPv4"},
                     {"ports", json::Array{json::Object{{"name", "t"}, {"port", 8080}, {"protocol", "TCP"}},
                                           json::Object{{"name", "u"}, {"port", 5353}, {"protocol", "UDP"}}}},
                     {"endpoints", std::move(items)}};
    return rules_of(service, {&slice}, "n1", {});
  }
  Change apply(const std::string& name, json::Value spec, const std::vector<std::string>& endpoints) {
    auto change = ruleset.update(name, rules(std::move(spec), endpoints));
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
  std::string tcp(const std::string& from, const std::string& to) { return test::ask_tcp(box.ns(from), to); }
  std::string udp(const std::string& from, const std::string& to, std::uint16_t from_port = 0) {
    return test::ask_udp(box.ns(from), to, from_port);
  }
  std::string udp_silent(const std::string& from, const std::string& to) {
    return test::ask_udp(box.ns(from), to, 0, std::chrono::seconds(1));
  }
  // Nothing comes back: neither an answer nor a refusal.
  bool silent(const std::string& from, const std::string& to) {
    return test::ask_tcp(box.ns(from), to, std::chrono::seconds(2)) == "Connection timed out";
  }
  bool refused(const std::string& from, const std::string& to) { return tcp(from, to) == "Connection refused"; }
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
  EXPECT_TRUE(silent("outside", "127.0.0.9:30080"));
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
  EXPECT_TRUE(silent("outside", "192.168.77.1:30080"));
  EXPECT_EQ(tcp("c", "192.168.77.1:30080"), "q 10.244.1.4");
  EXPECT_EQ(tcp("c", "198.51.100.7:80"), "q 10.244.1.4");
  EXPECT_EQ(tcp("n1", "192.168.77.1:30080"), "q 192.168.77.1");
}

TEST_F(ProxyTest, ALoadBalancersSourceRangesHold) {
  pod("a", "10.244.1.2");
  pod("c", "10.244.1.4");
  server("a");
  auto at_outside = must(Netlink::open_in(box.ns("outside")));
  must(at_outside.replace_route(
      {.destination = *Cidr::parse("198.51.100.9/32"), .gateway = *IpAddress::parse("192.168.77.1"), .link = 2}));
  auto balanced = [&](std::vector<std::string> ranges, const char* mode = "VIP") {
    json::Array list;
    for (auto& r : ranges) list.emplace_back(r);
    auto object = json::Value(json::Object{
        {"spec", spec({{"type", "LoadBalancer"}, {"loadBalancerSourceRanges", std::move(list)}})},
        {"status",
         json::Object{{"loadBalancer", json::Object{{"ingress", json::Array{json::Object{{"ip", "198.51.100.9"},
                                                                                         {"ipMode", mode}}}}}}}}});
    auto change = ruleset.update("s", rules_with_status(std::move(object), {"10.244.1.2@n1"}));
    must(inside([&] { return executor->run(change.script); }));
  };
  balanced({});
  EXPECT_EQ(tcp("outside", "198.51.100.9:80"), "a 10.244.1.1");
  balanced({"192.0.2.0/24", "192.168.77.0/25"});
  EXPECT_TRUE(silent("outside", "198.51.100.9:80"));
  EXPECT_EQ(udp_silent("outside", "198.51.100.9:80"), "no answer");
  EXPECT_TRUE(silent("c", "198.51.100.9:80"));
  EXPECT_EQ(tcp("outside", "192.168.77.1:30080"), "a 10.244.1.1");  // the node port and the cluster IP are for all
  EXPECT_EQ(tcp("c", "10.96.0.5:80"), "a 10.244.1.4");
  // Ranges inside of others, single addresses; a restart that finds them right.
  balanced({"192.168.0.0/16", "192.168.77.200/32", "10.244.1.4/32"});
  EXPECT_EQ(tcp("outside", "198.51.100.9:80"), "a 10.244.1.1");
  EXPECT_EQ(tcp("c", "198.51.100.9:80").substr(0, 2), "a ");
  auto kernel = must(in_netns(box.ns("n1"), [&] { return executor->list(); }));
  EXPECT_EQ(ruleset.converge_script(*kernel).find(" element "), std::string::npos) << ruleset.converge_script(*kernel);
  // A load balancer that is a proxy of its own is not short-circuited.
  balanced({}, "Proxy");
  EXPECT_NE(tcp("c", "198.51.100.9:80").substr(0, 2), "a ");
  EXPECT_EQ(box.sh("n1", "nft list set ip lab-proxy allowed-sources").out.find("elements"), std::string::npos);
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
  auto sticky = [](int seconds) {
    return json::Object{
        {"type", "NodePort"},
        {"sessionAffinity", "ClientIP"},
        {"sessionAffinityConfig", json::Object{{"clientIP", json::Object{{"timeoutSeconds", seconds}}}}}};
  };
  apply("s", spec(sticky(3600)), {"10.244.1.2@n1", "10.244.1.3@n1"});
  auto first = tcp("c", "10.96.0.5:80");
  for (int i = 0; i < 15; ++i) EXPECT_EQ(tcp("c", "10.96.0.5:80"), first);
  auto outside = tcp("outside", "192.168.77.1:30080");
  for (int i = 0; i < 15; ++i) EXPECT_EQ(tcp("outside", "192.168.77.1:30080"), outside);
  // A third endpoint disturbs nobody; the chosen one leaving moves its clients at once.
  bool on_a = first[0] == 'a';
  apply("s", spec(sticky(3600)), {on_a ? "10.244.1.3@n1" : "10.244.1.2@n1"});
  EXPECT_EQ(tcp("c", "10.96.0.5:80"), on_a ? "b 10.244.1.4" : "a 10.244.1.4");
  // After the timeout, which may be changed meanwhile, the choice is free again.
  apply("s", spec(sticky(1)), {"10.244.1.2@n1", "10.244.1.3@n1"});
  std::set<std::string> seen;
  EXPECT_TRUE(eventually(
      [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(1200));
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
  auto ask = [&] { return udp("c", "10.96.0.5:80", 7777); };
  apply("s", spec(), {});
  EXPECT_EQ(ask(), "Connection refused");
  apply("s", spec(), {"10.244.1.2@n1"});
  EXPECT_EQ(ask(), "a 10.244.1.4");
  apply("s", spec(), {"10.244.1.3@n1"});
  EXPECT_EQ(ask(), "b 10.244.1.4");
}

// A new proxy finds the table of one that was killed.
TEST_F(ProxyTest, SessionAffinitySurvivesANewProxyAndItsLossesAreForgotten) {
  for (const char* p : {"a", "b", "d"}) {
    pod(p, std::string("10.244.1.") + (*p == 'a' ? "2" : *p == 'b' ? "3" : "5"));
    server(p);
  }
  std::map<std::string, std::string> chosen;
  for (const char* client : {"c", "e", "f", "g"}) pod(client, "10.244.1.1" + std::to_string(*client - 'a'));
  json::Object sticky{{"type", "NodePort"}, {"sessionAffinity", "ClientIP"}};
  apply("s", spec(sticky), {"10.244.1.2@n1", "10.244.1.3@n1", "10.244.1.5@n1"});
  for (const char* client : {"c", "e", "f", "g"}) chosen[client] = tcp(client, "10.96.0.5:80");
  auto outside = tcp("outside", "192.168.77.1:30080");
  // The order in which slots are filled is another after a restart, too.
  auto restart = [&](const std::vector<std::string>& endpoints) {
    ruleset = Ruleset{{*Cidr::parse("10.244.0.0/16")}};
    (void)ruleset.update("s", rules(spec(sticky), endpoints));
    sync();
  };
  restart({"10.244.1.5@n1", "10.244.1.2@n1", "10.244.1.3@n1"});
  for (const auto& [client, answer] : chosen) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(tcp(client, "10.96.0.5:80"), answer) << client;
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(tcp("outside", "192.168.77.1:30080"), outside);
  // "a" went while no proxy ran: its clients move, all others stay.
  restart({"10.244.1.3@n1", "10.244.1.5@n1"});
  for (const auto& [client, answer] : chosen) {
    auto now = tcp(client, "10.96.0.5:80");
    if (answer[0] == 'a') {
      EXPECT_TRUE(now[0] == 'b' || now[0] == 'd') << now;
    } else {
      EXPECT_EQ(now, answer) << client;
    }
    EXPECT_EQ(tcp(client, "10.96.0.5:80"), now);
  }
}

TEST_F(ProxyTest, UdpFlowsToEndpointsThatWentWhileNoProxyRanAreForgotten) {
  for (const char* p : {"a", "b"}) {
    pod(p, std::string("10.244.1.") + (*p == 'a' ? "2" : "3"));
    server(p);
  }
  pod("c", "10.244.1.4");
  auto ask = [&] { return udp("c", "10.96.0.5:80", 7777); };
  auto ask_port = [&] { return udp("outside", "192.168.77.1:30080", 7778).substr(0, 2); };
  auto restart = [&](const std::vector<std::string>& endpoints) {
    ruleset = Ruleset{{*Cidr::parse("10.244.0.0/16")}};
    if (!endpoints.empty()) (void)ruleset.update("s", rules(spec({{"type", "NodePort"}}), endpoints));
    sync();
  };
  restart({"10.244.1.2@n1"});
  EXPECT_EQ(ask(), "a 10.244.1.4");
  EXPECT_EQ(ask_port(), "a ");
  restart({"10.244.1.3@n1"});
  EXPECT_EQ(ask(), "b 10.244.1.4");
  EXPECT_EQ(ask_port(), "b ");
  // The service went, too: nobody answers in its name.
  restart({});
  EXPECT_EQ(test::ask_udp(box.ns("c"), "10.96.0.5:80", 7777, std::chrono::seconds(2)), "no answer");
}

TEST_F(ProxyTest, TerminatingEndpointsServeUntilAnotherIsReadyAndKeepTheirConnections) {
  for (const char* p : {"a", "b"}) {
    pod(p, std::string("10.244.1.") + (*p == 'a' ? "2" : "3"));
    server(p);
  }
  pod("c", "10.244.1.4");
  apply("s", spec(), {"10.244.1.2@n1"});
  test::Connection before(box.ns("c"), "10.96.0.5:80");
  EXPECT_EQ(before.line(), "a 10.244.1.4");
  apply("s", spec(), {"10.244.1.2@n1 terminating"});
  EXPECT_EQ(tcp("c", "10.96.0.5:80"), "a 10.244.1.4");
  apply("s", spec(), {"10.244.1.2@n1 terminating", "10.244.1.3@n1"});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(tcp("c", "10.96.0.5:80"), "b 10.244.1.4");
  before.say("still here");
  EXPECT_EQ(before.line(), "still here");
}

TEST_F(ProxyTest, InternalPolicyLocalServesFromThisNodeOrNotAtAll) {
  pod("a", "10.244.1.2");
  pod("c", "10.244.1.4");
  pod("q", "10.244.2.2", "n2");
  server("a");
  server("q");
  json::Object local{{"type", "NodePort"}, {"internalTrafficPolicy", "Local"}};
  apply("s", spec(local), {"10.244.1.2@n1", "10.244.2.2@n2"});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(tcp("c", "10.96.0.5:80"), "a 10.244.1.4");
  // The node port follows the external policy alone.
  std::set<char> seen;
  for (int i = 0; i < 100 && seen.size() < 2; ++i) seen.insert(tcp("outside", "192.168.77.1:30080")[0]);
  EXPECT_EQ(seen, (std::set<char>{'a', 'q'}));
  apply("s", spec(local), {"10.244.2.2@n2"});
  EXPECT_TRUE(silent("c", "10.96.0.5:80"));
  EXPECT_TRUE(silent("n1", "10.96.0.5:80"));
  EXPECT_EQ(tcp("outside", "192.168.77.1:30080").substr(0, 2), "q ");
  apply("s", spec(local), {});
  EXPECT_TRUE(refused("c", "10.96.0.5:80"));
}

// What the kernel lists is what was written, so that a restart touches nothing that is right.
TEST_F(ProxyTest, TheKernelsListingReadsBackAsWhatWasWritten) {
  json::Object local{{"type", "NodePort"},
                     {"externalTrafficPolicy", "Local"},
                     {"sessionAffinity", "ClientIP"},
                     {"externalIPs", json::Array{json::Value("198.51.100.7")}}};
  apply("s", spec(local), {"10.244.1.2@n1", "10.244.1.3@n1", "10.244.2.2@n2"});
  apply("t",
        json::Object{{"clusterIP", "10.96.0.6"},
                     {"ports", json::Array{json::Object{{"name", "x"}, {"port", 9}, {"protocol", "SCTP"}}}}},
        {});
  auto script = [&] {
    return must(in_netns(box.ns("n1"), [&]() -> Result<std::string> {
      LAB_TRY(auto kernel, executor->list());
      return ruleset.converge_script(*kernel);
    }));
  };
  EXPECT_EQ(script().find(" element "), std::string::npos) << script();
  sync();
  EXPECT_EQ(script().find(" element "), std::string::npos) << script();
  must(inside([&] { return executor->run("delete element ip lab-proxy cluster-ips { 10.96.0.6 }\n"); }));
  EXPECT_NE(script().find("add element ip lab-proxy cluster-ips { 10.96.0.6 }"), std::string::npos) << script();
}

TEST_F(ProxyTest, ConnectionsSurviveAReplacedTable) {
  pod("a", "10.244.1.2");
  pod("c", "10.244.1.4");
  server("a");
  apply("s", spec(), {"10.244.1.2@n1"});
  test::Connection client(box.ns("c"), "10.96.0.5:80");
  EXPECT_EQ(client.line(), "a 10.244.1.4");
  client.say("one");
  EXPECT_EQ(client.line(), "one");
  sync();
  client.say("two");
  EXPECT_EQ(client.line(), "two");
  must(inside([&] { return executor->run(ruleset.full_script()); }));
  client.say("two");
  EXPECT_EQ(client.line(), "two");
}

// Whoever connects while rules and endpoints change gets an answer, with the client's own address.
TEST_F(ProxyTest, NoConnectionFailsWhileAProxyStartsAndEndpointsChange) {
  for (const char* p : {"a", "b"}) {
    pod(p, std::string("10.244.1.") + (*p == 'a' ? "2" : "3"));
    server(p);
  }
  pod("c", "10.244.1.4");
  apply("s", spec(), {"10.244.1.2@n1"});
  std::map<std::string, int> answers;
  std::jthread client([&](std::stop_token stop) {
    while (!stop.stop_requested()) ++answers[tcp("c", "10.96.0.5:80")];
  });
  for (int i = 0; i < 25; ++i) {
    sync();
    apply("s", spec(), {"10.244.1.2@n1", "10.244.1.3@n1"});
    apply("s", spec(), {i % 2 ? "10.244.1.2@n1" : "10.244.1.3@n1"});
  }
  client.request_stop();
  client.join();
  EXPECT_GT(answers["a 10.244.1.4"] + answers["b 10.244.1.4"], 0);
  EXPECT_EQ(answers.size(), 2u);
  for (const auto& [answer, times] : answers) EXPECT_EQ(answer.substr(1), " 10.244.1.4") << answer << " " << times;
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
