#include "overlay-net/policy/explain.h"

#include "overlay-net/policy/blocked_log.h"
#include "tests/unit/overlay-net/policy/fixtures.h"

namespace lab::overlay::policy {
namespace {

struct ExplainTest : testing::Test {
  Model m;
  void SetUp() override {
    m.set_namespace("prod", {});
    m.set_namespace("default", {});
    auto db = pod("prod", "db-0", "10.244.2.7", R"({"app":"db"})", "n2");
    db.ports = {{"pg", IPPROTO_TCP, 5432}};
    m.set_pod(db);
    m.set_pod(pod("default", "web-1", "10.244.1.5", R"({"app":"web"})"));
    m.set_policy(policy("prod", "db", R"({"podSelector":{"matchLabels":{"app":"db"}},
        "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"api"}}},{"ipBlock":{"cidr":"10.0.0.0/16","except":["10.0.1.0/24"]}}],
                    "ports":[{"port":5432},{"port":8000,"endPort":8100},{"protocol":"UDP"},{"port":"pg"}]}]})"));
  }
};

TEST_F(ExplainTest, ABlockedConnectionIsOneLine) {
  auto line = blocked_text(m, Direction::kIngress, flow(m, "10.244.1.5", "10.244.2.7", 5432));
  EXPECT_EQ(line,
            "policy: blocked tcp default/web-1 (10.244.1.5) -> prod/db-0:5432 (10.244.2.7): "
            "no ingress rule of NetworkPolicy prod/db allows it");
  m.set_policy(policy("prod", "deny", R"({"podSelector":{}})"));
  line = blocked_text(m, Direction::kIngress, flow(m, "192.168.0.9", "10.244.2.7", 53, IPPROTO_UDP));
  EXPECT_EQ(line.substr(0, 66), "policy: blocked udp 192.168.0.9 -> prod/db-0:53 (10.244.2.7): no i");
  line = blocked_text(m, Direction::kIngress, flow(m, "192.168.0.9", "10.244.2.7", 0, IPPROTO_ICMP));
  EXPECT_EQ(line,
            "policy: blocked icmp 192.168.0.9 -> prod/db-0 (10.244.2.7): "
            "no ingress rule of NetworkPolicies prod/db, prod/deny allows it");
}

TEST_F(ExplainTest, EveryRuleIsToldWithWhatDoesNotFit) {
  auto asked = flow_of(m, "web-1", "prod/db-0:pg", "default");
  ASSERT_TRUE(asked) << asked.error().text();
  EXPECT_EQ(asked->port, 5432);
  auto text = explain_text(m, *asked);
  EXPECT_EQ(
      text,
      "tcp default/web-1 (10.244.1.5) -> prod/db-0:5432 (10.244.2.7)\n"
      "Egress from default/web-1 (10.244.1.5): allowed, no NetworkPolicy selects it for egress\n"
      "  labels: app=web\n"
      "Ingress to prod/db-0 (10.244.2.7): DENIED, no ingress rule of NetworkPolicy prod/db allows it\n"
      "  labels: app=db\n"
      "  NetworkPolicy prod/db selects it\n"
      "    rule 1 from pods app=api in namespace prod; 10.0.0.0/16 except 10.0.1.0/24, on tcp 5432, tcp 8000-8100, "
      "udp all ports, tcp pg: the source is not among them\n"
      "Result: DENIED by ingress rules\n");
}

TEST_F(ExplainTest, QuestionsThatAreWrongAreNamed) {
  EXPECT_EQ(flow_of(m, "nobody", "prod/db-0:80", "default").error().code, Code::kNotFound);
  EXPECT_NE(flow_of(m, "web-1", "prod/db-0", "default").error().message.find("names no port"), std::string::npos);
  EXPECT_NE(flow_of(m, "web-1", "prod/db-0:nope", "default").error().message.find("'nope' is no port of pod prod/db-0"),
            std::string::npos);
  EXPECT_FALSE(flow_of(m, "web-1", "prod/db-0:0", "default"));
  EXPECT_FALSE(flow_of(m, "web-1", "prod/db-0:70000", "default"));
  EXPECT_FALSE(flow_of(m, "web-1", "prod/db-0:80/gre", "default"));
  EXPECT_EQ(flow_of(m, "192.168.1.1", "10.244.2.7:53/udp", "default")->destination.pod->key(), "prod/db-0");
  m.set_pod(pod("default", "late", "", "{}"));
  EXPECT_EQ(flow_of(m, "late", "prod/db-0:80", "default").error().code, Code::kUnavailable);
}

LoggedPacket packet(const std::string& prefix, std::uint8_t last, std::uint16_t port) {
  LoggedPacket p{.prefix = prefix, .payload = std::vector<std::uint8_t>(28)};
  p.payload[0] = 0x45;
  p.payload[9] = IPPROTO_TCP;
  const std::uint8_t addresses[] = {10, 244, 1, last, 10, 244, 2, 7};
  std::copy(std::begin(addresses), std::end(addresses), p.payload.begin() + 12);
  p.payload[22] = static_cast<std::uint8_t>(port >> 8);
  p.payload[23] = static_cast<std::uint8_t>(port);
  return p;
}

TEST_F(ExplainTest, PacketsAreRead) {
  auto b = blocked_packet(packet("egress", 5, 5432));
  ASSERT_TRUE(b);
  EXPECT_EQ(b->direction, Direction::kEgress);
  EXPECT_EQ(b->source, ip("10.244.1.5"));
  EXPECT_EQ(b->destination, ip("10.244.2.7"));
  EXPECT_EQ(b->port, 5432);
  EXPECT_FALSE(blocked_packet(packet("somebody else's", 5, 5432)));
  auto whole = packet("ingress", 5, 5432);
  for (std::size_t n = 0; n < whole.payload.size(); ++n) {
    auto cut = whole;
    cut.payload.resize(n);
    auto got = blocked_packet(cut);
    EXPECT_EQ(got.has_value(), n >= 20);
    if (got && n < 24) EXPECT_EQ(got->port, 0);
  }
  whole.payload[0] = 0x60;
  EXPECT_FALSE(blocked_packet(whole));
}

TEST_F(ExplainTest, AFloodIsAFewLines) {
  BlockedLog log;
  TimePoint now{};
  now += std::chrono::hours(1);
  auto one = *blocked_packet(packet("ingress", 5, 5432));
  EXPECT_EQ(log.take(m, one, now).size(), 1u);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(log.take(m, one, now + std::chrono::seconds(i % 50)).empty());
  auto later = log.take(m, one, now + BlockedLog::kAgain);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_NE(later[0].find("(100 more packets since it was last told)"), std::string::npos) << later[0];

  now += std::chrono::hours(1);
  int lines = 0;
  for (std::uint16_t port = 1; port <= 5000; ++port) {
    auto scan = *blocked_packet(packet("ingress", 5, port));
    lines += static_cast<int>(log.take(m, scan, now).size());
  }
  EXPECT_EQ(lines, BlockedLog::kBurst);
  auto after = log.take(m, *blocked_packet(packet("ingress", 5, 6000)), now + BlockedLog::kWindow);
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0], "policy: 4980 more blocked connections were not listed");
  EXPECT_EQ(log.packets(), 102u + 5001u);
}

}  // namespace
}  // namespace lab::overlay::policy
