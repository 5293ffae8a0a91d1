// NetworkPolicies in the real kernel: each case of the matrix with real connections, and `explain` beside it.
#include <algorithm>
#include <atomic>
#include <sstream>
#include <thread>

#include "tests/netns/policy/cases.h"
#include "tests/netns/policy/nodes.h"

namespace lab::overlay::policy {
namespace {

struct Probe {
  bool through = true;
  std::string from, to;
  Protocol protocol = IPPROTO_TCP;
  std::uint16_t port = 0;
  std::string text;
};

Probe probe_of(const std::string& word) {
  auto arrow = word.find('>'), colon = word.find(':');
  Probe out{
      .through = word[0] == '+', .from = word.substr(1, arrow - 1), .to = word.substr(arrow + 1, colon - arrow - 1)};
  auto port = word.substr(colon + 1);
  if (port == "icmp") {
    out.protocol = IPPROTO_ICMP;
  } else {
    if (port.back() == 'u') out.protocol = IPPROTO_UDP;
    if (port.back() == 's') out.protocol = IPPROTO_SCTP;
    out.port = static_cast<std::uint16_t>(std::stoi(port));
  }
  out.text = word.substr(1);
  return out;
}

std::vector<Probe> probes_of(const std::string& words) {
  std::vector<Probe> out;
  std::istringstream in(words);
  for (std::string word; in >> word;) out.push_back(probe_of(word));
  return out;
}

struct PolicyTest : testing::Test {
  static inline std::unique_ptr<Nodes> shared;
  static void SetUpTestSuite() { shared = std::make_unique<Nodes>(); }
  static void TearDownTestSuite() { shared.reset(); }
  Nodes& n = *shared;

  void TearDown() override { n.set_policies({}); }

  Flow flow(const Probe& p) {
    return {.source = n.party(p.from), .destination = n.party(p.to), .protocol = p.protocol, .port = p.port};
  }
  // What explain says, in the prober's words.
  std::string said(const Probe& p) {
    auto verdict = verdict_on(n.model(), flow(p));
    if (!verdict.egress.allowed()) return "blocked egress";
    return verdict.ingress.allowed() ? "answered" : "blocked ingress";
  }
  std::vector<test::Outcome> run(const std::vector<Probe>& probes) {
    std::vector<test::ProbeSpec> specs;
    auto& box = n.cluster.box;
    for (const auto& p : probes)
      specs.push_back({box.ns(p.from), box.ns(p.to), n.addresses.at(p.to), p.protocol, p.port});
    return n.prober->run(specs);
  }
  std::string one(const std::string& probe) { return run(probes_of("+" + probe)).at(0); }
  // The kernel holds what the rules say, and nothing else.
  void expect_kernel_as_told() {
    for (auto& [node, r] : n.rules) {
      auto kernel = test::must(n.executors.at(node).list());
      ASSERT_TRUE(kernel);
      EXPECT_EQ(kernel->elements, r.program().elements) << node;
      auto names = [](const std::map<std::string, std::string>& m) {
        std::set<std::string> out;
        for (const auto& [name, rest] : m) out.insert(name);
        return out;
      };
      EXPECT_EQ(names(kernel->chains), names(r.program().chains)) << node;
      EXPECT_EQ(names(kernel->sets), names(r.program().sets)) << node;
    }
  }
};

TEST_F(PolicyTest, Matrix) {
  const std::string pods = "abecdf";
  ASSERT_GE(cases().size(), 60u);
  std::size_t connections = 0;
  for (const auto& c : cases()) {
    SCOPED_TRACE(c.name);
    n.set_policies(c.policies);
    auto probes = probes_of(c.probes);
    auto stated = probes.size();
    for (const auto& p : probes) {
      EXPECT_TRUE(std::ranges::any_of(probes, [&](const Probe& q) { return q.from == p.to && q.to == p.from; }))
          << p.text << " is not asked the other way";
    }
    // Every pair of pods as well, where explain says what is to come.
    for (char from : pods) {
      for (char to : pods) {
        if (from != to) probes.push_back(probe_of(std::string("+") + from + ">" + to + ":80"));
      }
    }
    auto outcomes = run(probes);
    connections += outcomes.size();
    for (std::size_t i = 0; i < probes.size(); ++i) {
      const auto& p = probes[i];
      EXPECT_EQ(outcomes[i], said(p)) << p.text << "\n" << explain_text(n.model(), flow(p));
      if (i < stated) EXPECT_EQ(outcomes[i] == "answered", p.through) << p.text << ": " << outcomes[i];
    }
    expect_kernel_as_told();
  }
  std::printf("%zu cases, %zu connections\n", cases().size(), connections);
}

// What a pod, a namespace or an address change does, without a change of policies.
TEST_F(PolicyTest, PodsAndNamespacesThatChange) {
  n.set_policies({{"x/p", R"({"podSelector":{"matchLabels":{"app":"c"}},"ingress":[
      {"from":[{"podSelector":{"matchLabels":{"app":"a"}}},{"namespaceSelector":{"matchLabels":{"door":"open"}}}]}]})"}});
  EXPECT_EQ(one("b>c:80"), "blocked ingress");
  n.set_pod(1, "x", "b", R"({"app":"a"})");
  n.apply();
  EXPECT_EQ(one("b>c:80"), "answered");
  n.set_pod(1, "x", "b", R"({"app":"b"})");
  n.apply();
  EXPECT_EQ(one("b>c:80"), "blocked ingress");
  EXPECT_EQ(one("f>c:80"), "blocked ingress");
  n.namespace_("z", R"({"kubernetes.io/metadata.name":"z","door":"open"})");
  n.apply();
  EXPECT_EQ(one("f>c:80"), "answered");
  n.namespace_("z", R"({"kubernetes.io/metadata.name":"z"})");
  n.apply();
  EXPECT_EQ(one("f>c:80"), "blocked ingress");
  // A pod that stops being selected is free, and one that starts is not.
  n.set_pod(2, "x", "c", R"({"app":"other"})", {{"http", IPPROTO_TCP, 80}, {"dns", IPPROTO_UDP, 53}});
  n.apply();
  EXPECT_EQ(one("f>c:80"), "answered");
  n.set_pod(2, "x", "c", R"({"app":"c","tier":"db"})", {{"http", IPPROTO_TCP, 80}, {"dns", IPPROTO_UDP, 53}});
  n.apply();
  EXPECT_EQ(one("f>c:80"), "blocked ingress");
  expect_kernel_as_told();
}

TEST_F(PolicyTest, APodIsIsolatedBeforeItIsKnown) {
  n.set_policies({{"z/p", R"({"podSelector":{"matchLabels":{"no":"body"}}})"}});
  EXPECT_EQ(one("a>f:80"), "answered");
  auto& r = n.rules.at("n2");
  r.remove_pod("z/f");
  r.wire("z", "f", *IpAddress::parse(n.addresses.at("f")));
  n.apply();
  EXPECT_EQ(one("a>f:80"), "blocked ingress");
  EXPECT_EQ(one("f>a:80"), "answered");
  n.set_pod(2, "z", "f", "{}");
  n.apply();
  EXPECT_EQ(one("a>f:80"), "answered");
  r.unwire(*IpAddress::parse(n.addresses.at("f")));
  n.apply();
}

TEST_F(PolicyTest, ServicesAreJudgedByWhereTheyLead) {
  auto& box = n.cluster.box;
  auto nft = box.sh("n1",
                    "nft add table ip svc && nft 'add chain ip svc pre { type nat hook prerouting priority dstnat; }' "
                    "&& nft 'add chain ip svc post { type nat hook postrouting priority srcnat; }' "
                    "&& nft add rule ip svc pre ip daddr 10.96.0.5 tcp dport 81 dnat to " +
                        n.addresses.at("c") +
                        ":80 "
                        "&& nft add rule ip svc pre ip daddr 10.96.0.6 tcp dport 81 dnat to " +
                        n.addresses.at("a") +
                        ":80 "
                        "&& nft add rule ip svc pre ip daddr 10.96.0.7 tcp dport 81 dnat to " +
                        n.addresses.at("b") +
                        ":80 "
                        "&& nft add rule ip svc post ip saddr " +
                        n.addresses.at("a") + " ip daddr " + n.addresses.at("a") + " masquerade");
  ASSERT_TRUE(nft.ok()) << nft.out;
  auto ask = [&](const std::string& address) {
    return n.prober->run({{box.ns("a"), box.ns("a"), address, IPPROTO_TCP, 81}}).at(0);
  };
  EXPECT_EQ(ask("10.96.0.5"), "answered");
  n.set_policies({{"x/p", R"({"podSelector":{"matchLabels":{"app":"a"}},"policyTypes":["Egress"],"egress":[
      {"to":[{"ipBlock":{"cidr":"10.96.0.0/12"}}]},{"ports":[{"port":81}]}]})"}});
  EXPECT_EQ(ask("10.96.0.5"), "blocked egress");
  EXPECT_EQ(ask("10.96.0.7"), "blocked egress");
  EXPECT_EQ(ask("10.96.0.6"), "answered");  // itself
  n.set_policies({{"x/p", R"({"podSelector":{"matchLabels":{"app":"a"}},"policyTypes":["Egress"],"egress":[
      {"to":[{"podSelector":{"matchLabels":{"app":"c"}}}],"ports":[{"port":80}]}]})"}});
  EXPECT_EQ(ask("10.96.0.5"), "answered");
  EXPECT_EQ(ask("10.96.0.7"), "blocked egress");
  n.set_policies(
      {{"x/p", R"({"podSelector":{"matchExpressions":[{"key":"app","operator":"In","values":["a","b","c"]}]}})"}});
  EXPECT_EQ(ask("10.96.0.5"), "blocked ingress");
  EXPECT_EQ(ask("10.96.0.7"), "blocked ingress");
  EXPECT_EQ(ask("10.96.0.6"), "answered");
  EXPECT_TRUE(box.sh("n1", "nft delete table ip svc").ok());
}

TEST_F(PolicyTest, ConnectionsThatAreUpStayUp) {
  test::Connection client(n.cluster.box.ns("a"), n.addresses.at("c") + ":80");
  EXPECT_EQ(client.line(), "c " + n.addresses.at("a"));
  client.say("one");
  EXPECT_EQ(client.line(), "one");
  n.set_policies({{"x/p", R"({"podSelector":{},"policyTypes":["Ingress","Egress"]})"}});
  client.say("two");
  EXPECT_EQ(client.line(), "two");
  EXPECT_EQ(one("a>c:80"), "blocked egress");
}

// Agents start, each finding the table of the one before, policies come and go: nothing forbidden ever passes, and
// nothing allowed is ever kept out.
TEST_F(PolicyTest, StartsAndChangesLeaveNoGap) {
  const std::pair<std::string, std::string> held{"x/p", R"({"podSelector":{"matchLabels":{"app":"c"}},
      "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"a"}}}],"ports":[{"port":80}]}]})"};
  const std::pair<std::string, std::string> other{"x/q", R"({"podSelector":{"matchLabels":{"tier":"db"}},
      "ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"blue"}}}],"ports":[{"port":8080}]}]})"};
  n.set_policies({held});
  auto probes = probes_of("+a>c:80 -b>c:80 -a>c:8080 -f>c:80 +c>f:80 +a>b:80");
  std::atomic<bool> stop = false;
  std::atomic<int> rounds = 0;
  std::map<std::string, std::map<std::string, int>> seen;
  std::jthread prober([&] {
    while (!stop) {
      auto outcomes = run(probes);
      for (std::size_t i = 0; i < probes.size(); ++i) ++seen[probes[i].text][outcomes[i]];
      ++rounds;
    }
  });
  for (int i = 0; i < 25 || (rounds < 25 && i < 5000); ++i) {
    for (auto& [node, r] : n.rules) n.converge(node, r);
    n.set_policies(i % 2 ? std::vector{held} : std::vector{held, other});
  }
  stop = true;
  prober.join();
  for (const auto& p : probes) {
    ASSERT_EQ(seen[p.text].size(), 1u) << p.text << ": " << seen[p.text].begin()->first << ", "
                                       << seen[p.text].rbegin()->first;
    EXPECT_EQ(seen[p.text].begin()->first, p.through ? "answered" : "blocked ingress") << p.text;
    EXPECT_GE(seen[p.text].begin()->second, 25) << p.text;
  }
}

TEST_F(PolicyTest, WhatIsWrongInTheTableIsPutRight) {
  n.set_policies({{"x/p", R"({"podSelector":{},"ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"a"}}}]}]})"}});
  auto& executor = n.executors.at("n2");
  test::must(executor.run("delete element inet lab-policy ingress-pods { " + n.addresses.at("c") +
                          " }\n"
                          "add set inet lab-policy stray { type ipv4_addr; }\n"
                          "add element inet lab-policy pods/x/p { 10.244.2.99 }\n"
                          "add chain inet lab-policy in/gone\nadd rule inet lab-policy in/gone ip saddr @stray drop\n"
                          "flush chain inet lab-policy ingress\n"));
  EXPECT_EQ(one("b>c:80"), "answered");
  n.converge("n2", n.rules.at("n2"));
  EXPECT_EQ(one("b>c:80"), "blocked ingress");
  expect_kernel_as_told();
  // Nothing at all: as after `nft flush ruleset`.
  test::must(executor.remove_table());
  EXPECT_FALSE(test::must(executor.table_is_there()));
  n.converge("n2", n.rules.at("n2"));
  EXPECT_EQ(one("b>c:80"), "blocked ingress");
  EXPECT_EQ(one("a>c:80"), "answered");
  expect_kernel_as_told();
}

TEST_F(PolicyTest, IPv6BetweenPodsIsNoWayAround) {
  for (const char* pod : {"a", "b"}) {
    auto up = n.cluster.box.sh(pod, std::string("ip -6 addr add fd00::") + pod + "/64 dev eth0 nodad");
    ASSERT_TRUE(up.ok()) << up.out;
  }
  auto& executor = n.executors.at("n1");
  EXPECT_FALSE(n.cluster.box.run("a", {"busybox", "ping", "-6", "-c1", "-W1", "fd00::b"}).ok());
  test::must(executor.remove_table());
  EXPECT_TRUE(n.cluster.box.run("a", {"busybox", "ping", "-6", "-c1", "-W20", "fd00::b"}).ok());
  n.converge("n1", n.rules.at("n1"));
  EXPECT_FALSE(n.cluster.box.run("a", {"busybox", "ping", "-6", "-c1", "-W1", "fd00::b"}).ok());
}

// As the first packets of `blocked_packet` on: what the log says of a real one.
TEST_F(PolicyTest, ABlockedPacketIsToldInOneLine) {
  n.set_policies({{"x/p", R"({"podSelector":{"matchLabels":{"app":"c"}}})"}});
  n.prober.reset();
  auto reader = test::must(in_netns(n.cluster.box.ns("n2"), [] { return NflogReader::open(kLogGroup); }));
  auto second = in_netns(n.cluster.box.ns("n2"), [] { return NflogReader::open(kLogGroup); });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_EQ(test::ask_tcp(n.cluster.box.ns("b"), n.addresses.at("c") + ":5432", std::chrono::milliseconds(300)),
            "Connection timed out");
  std::vector<LoggedPacket> packets;
  EXPECT_TRUE(test::eventually([&] {
    packets = test::must(reader.next(std::chrono::milliseconds(50)));
    return !packets.empty();
  }));
  ASSERT_FALSE(packets.empty());
  auto packet = blocked_packet(packets[0]);
  ASSERT_TRUE(packet);
  BlockedLog log;
  EXPECT_EQ(log.take(n.model(), *packet, TimePoint(std::chrono::hours(1))),
            std::vector<std::string>{"policy: blocked tcp x/b (" + n.addresses.at("b") + ") -> x/c:5432 (" +
                                     n.addresses.at("c") + "): no ingress rule of NetworkPolicy x/p allows it"});
  {
    auto gone = std::move(reader);
  }
  n.prober.emplace(std::vector{n.cluster.box.ns("n1"), n.cluster.box.ns("n2")}, kLogGroup);
}

TEST_F(PolicyTest, CleanUpLeavesNothing) {
  n.set_policies({{"x/p", R"({"podSelector":{}})"}});
  for (int i : {1, 2}) {
    test::must(n.on("n1", [] { return Executor::clean_up(); }));
    EXPECT_EQ(n.cluster.box.sh("n1", "nft list tables").out.find("lab-policy"), std::string::npos) << i;
  }
  n.converge("n1", n.rules.at("n1"));
}

}  // namespace
}  // namespace lab::overlay::policy
