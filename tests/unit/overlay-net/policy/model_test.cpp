#include "tests/unit/overlay-net/policy/fixtures.h"

namespace lab::overlay::policy {
namespace {

struct ModelTest : testing::Test {
  Model m;
  void SetUp() override {
    m.set_namespace("prod", json::as_object(parsed(R"({"env":"prod"})")));
    m.set_namespace("dev", json::as_object(parsed(R"({"env":"dev"})")));
    m.set_pod(pod("prod", "db", "10.244.1.2", R"({"app":"db"})"));
    m.set_pod(pod("prod", "web", "10.244.2.2", R"({"app":"web"})", "n2"));
    m.set_pod(pod("dev", "web", "10.244.2.3", R"({"app":"web"})", "n2"));
  }
  bool in(const std::string& from, std::uint16_t port = 80, Protocol protocol = IPPROTO_TCP) {
    return m.judge(Direction::kIngress, flow(m, from, "10.244.1.2", port, protocol)).allowed();
  }
  bool out(const std::string& to, std::uint16_t port = 80) {
    return m.judge(Direction::kEgress, flow(m, "10.244.1.2", to, port)).allowed();
  }
};

TEST_F(ModelTest, WithoutPoliciesEverythingPasses) {
  EXPECT_TRUE(in("10.244.2.2"));
  EXPECT_TRUE(in("8.8.8.8"));
  EXPECT_TRUE(out("8.8.8.8"));
}

TEST_F(ModelTest, PolicyTypesDefaultAsInKubernetes) {
  EXPECT_FALSE(policy("a", "b", R"({"podSelector":{}})").egress);
  EXPECT_TRUE(policy("a", "b", R"({"podSelector":{}})").ingress);
  EXPECT_TRUE(policy("a", "b", R"({"podSelector":{},"egress":[{}]})").egress);
  EXPECT_TRUE(policy("a", "b", R"({"podSelector":{},"egress":[{}]})").ingress);
  auto egress_only = policy("a", "b", R"({"podSelector":{},"policyTypes":["Egress"]})");
  EXPECT_FALSE(egress_only.ingress);
  EXPECT_TRUE(egress_only.egress);
  // Rules of a direction that policyTypes leaves out have no effect.
  m.set_policy(policy("prod", "p", R"({"podSelector":{},"policyTypes":["Egress"],"ingress":[],"egress":[{}]})"));
  EXPECT_TRUE(in("10.244.2.3"));
}

TEST_F(ModelTest, PeersAreOfTheNamespaceUnlessTheyNameOthers) {
  m.set_policy(policy("prod", "p", R"({"podSelector":{"matchLabels":{"app":"db"}},
      "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"web"}}}]}]})"));
  EXPECT_TRUE(in("10.244.2.2"));
  EXPECT_FALSE(in("10.244.2.3"));
  m.set_policy(policy("prod", "p", R"({"podSelector":{},
      "ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"env":"dev"}},"podSelector":{"matchLabels":{"app":"web"}}}]}]})"));
  EXPECT_FALSE(in("10.244.2.2"));
  EXPECT_TRUE(in("10.244.2.3"));
  EXPECT_FALSE(in("8.8.8.8"));
}

TEST_F(ModelTest, SelfAndOwnNodeAlwaysPass) {
  m.set_policy(policy("prod", "p", R"({"podSelector":{},"policyTypes":["Ingress","Egress"]})"));
  EXPECT_TRUE(in("10.244.1.2"));
  EXPECT_TRUE(in("192.168.77.1"));
  EXPECT_FALSE(in("192.168.77.2"));
  EXPECT_TRUE(out("192.168.77.1"));
  EXPECT_FALSE(out("192.168.77.2"));
}

TEST_F(ModelTest, BlocksAndExceptions) {
  m.set_policy(policy("prod", "p", R"({"podSelector":{},
      "ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.244.2.0/24"]}}]}]})"));
  EXPECT_FALSE(in("10.244.2.2"));
  EXPECT_TRUE(in("10.244.3.2"));
  EXPECT_FALSE(in("11.0.0.1"));
}

TEST_F(ModelTest, PortsRangesProtocolsAndNames) {
  m.set_policy(policy("prod", "p", R"({"podSelector":{},
      "ingress":[{"ports":[{"port":80},{"port":8000,"endPort":8100},{"protocol":"UDP"},{"protocol":"TCP","port":"web"}]}]})"));
  EXPECT_TRUE(in("1.1.1.1", 80));
  EXPECT_FALSE(in("1.1.1.1", 81));
  EXPECT_TRUE(in("1.1.1.1", 8100));
  EXPECT_FALSE(in("1.1.1.1", 8101));
  EXPECT_TRUE(in("1.1.1.1", 4000, IPPROTO_UDP));
  EXPECT_FALSE(in("1.1.1.1", 80, IPPROTO_SCTP));
  EXPECT_FALSE(in("1.1.1.1", 9090));
  auto db = pod("prod", "db", "10.244.1.2", R"({"app":"db"})");
  db.ports = {{"web", IPPROTO_TCP, 9090}, {"web2", IPPROTO_TCP, 9091}};
  m.set_pod(db);
  EXPECT_TRUE(in("1.1.1.1", 9090));
  EXPECT_FALSE(in("1.1.1.1", 9091));
}

TEST_F(ModelTest, PoliciesAddUp) {
  m.set_policy(policy("prod", "deny", R"({"podSelector":{}})"));
  EXPECT_FALSE(in("10.244.2.2"));
  m.set_policy(
      policy("prod", "allow", R"({"podSelector":{"matchLabels":{"app":"db"}},"ingress":[{"ports":[{"port":80}]}]})"));
  auto j = m.judge(Direction::kIngress, flow(m, "10.244.2.2", "10.244.1.2"));
  EXPECT_EQ(j.why, Why::kRule);
  EXPECT_EQ(j.by->key(), "prod/allow");
  EXPECT_EQ(j.policies.size(), 2u);
  EXPECT_FALSE(in("10.244.2.2", 81));
}

TEST_F(ModelTest, WhatIsNotUnderstoodMatchesNobody) {
  auto p = policy("prod", "p", R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/99"}}]},
      {"ports":[{"protocol":"GRE"}]},{"from":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["x"]}}]},{"from":[{}]},
      {"ports":[{"port":80,"endPort":70}]}]})");
  EXPECT_EQ(p.problems.size(), 5u);
  m.set_policy(p);
  EXPECT_FALSE(in("10.244.2.2"));
  EXPECT_FALSE(in("10.244.2.2", 80, IPPROTO_GRE));
}

TEST_F(ModelTest, PodsOfTheHostAndEndedOnesHaveNoAddressOfTheirOwn) {
  auto of = [](const std::string& more) {
    return pod_from(parsed(R"({"metadata":{"namespace":"a","name":"b"},"spec":{"nodeName":"n1")" + more));
  };
  EXPECT_EQ(of(R"(},"status":{"podIP":"10.1.1.1","podIPs":[{"ip":"10.1.1.1"},{"ip":"fd00::1"}]}})").addresses.size(),
            1u);
  EXPECT_TRUE(of(R"(},"status":{"podIP":"10.1.1.1","phase":"Failed"}})").addresses.empty());
  EXPECT_TRUE(of(R"(,"hostNetwork":true},"status":{"podIP":"10.1.1.1"}})").addresses.empty());
}

TEST_F(ModelTest, ShrinkingKeepsAllThatIsRead) {
  auto full = parsed(R"({"metadata":{"namespace":"a","name":"b","labels":{"x":"y"},"annotations":{"z":"1"},
      "creationTimestamp":"2026-01-01T00:00:00Z"},
      "spec":{"nodeName":"n1","containers":[{"image":"i","ports":[{"name":"http","containerPort":80}]}],
      "initContainers":[{"ports":[{"name":"once","containerPort":81}]},
                        {"restartPolicy":"Always","ports":[{"name":"side","containerPort":82,"protocol":"UDP"}]}]},
      "status":{"podIP":"10.1.1.1","hostIP":"192.168.0.1","phase":"Running"}})");
  auto before = pod_from(full);
  shrink_pod(full);
  auto after = pod_from(full);
  ASSERT_EQ(before.ports.size(), 2u);
  EXPECT_EQ(before.ports[1].name, "side");
  ASSERT_EQ(after.ports.size(), 2u);
  EXPECT_EQ(after.ports[1].protocol, IPPROTO_UDP);
  EXPECT_EQ(after.labels, before.labels);
  EXPECT_EQ(after.addresses, before.addresses);
  EXPECT_EQ(after.node_address, before.node_address);
  EXPECT_EQ(after.created, before.created);
  EXPECT_EQ(after.node, "n1");
  EXPECT_FALSE(json::has(full, "metadata", "annotations"));
}

}  // namespace
}  // namespace lab::overlay::policy
