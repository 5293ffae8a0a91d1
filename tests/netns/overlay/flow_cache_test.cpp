// Established connections of pods past netfilter, on real kernels' own terms: what passes the forward chain is counted.
#include <sstream>
#include <thread>

#include "overlay-net/agent/core.h"
#include "tests/netns/overlay/cluster.h"
#include "tests/netns/support/probe.h"

namespace lab {
namespace {

using test::Cluster;
using test::eventually;
using test::must;

struct FlowCacheTest : testing::Test {
  Cluster c{2};
  void start_both() {
    for (int i : {1, 2}) c.start(i);
    for (int i : {1, 2}) {
      ASSERT_TRUE(c.ready(i, 1)) << json::dump(c.status(i));
      ASSERT_EQ(json::str(c.status(i), "flowCache"), "on");
      must(count_forwarded(i));
    }
  }
  // A chain behind all others that counts this port's packets, both ways.
  Result<void> count_forwarded(int i) {
    auto out = c.box.sh(Cluster::node(i),
                        "nft 'table ip look { chain f { type filter hook forward priority 100; tcp dport 8000 counter; "
                        "tcp sport 8000 counter; }; }'");
    if (!out.ok()) return fail(Code::kInternal, out.out);
    return {};
  }
  int forwarded(int i) {
    auto out = c.box.sh(Cluster::node(i), "nft list table ip look | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'");
    std::istringstream lines(out.out);
    int sum = 0;
    for (int n; lines >> n;) sum += n;
    return sum;
  }
  static void talk(test::Connection& connection, int questions) {
    for (int k = 0; k < questions; ++k) {
      connection.say("question");
      ASSERT_EQ(connection.line(), "question");
    }
  }
  // Of so many questions and answers, how few packets passed the chains of node i.
  int passed_of(test::Connection& connection, int i, int questions) {
    const int before = forwarded(i);
    talk(connection, questions);
    return forwarded(i) - before;
  }
};

TEST_F(FlowCacheTest, LeadsEstablishedConnectionsPastTheChains) {
  start_both();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  test::Connection connection(c.box.ns("a"), b + ":8000");
  connection.line();
  // A thousand packets; those that still pass are a few of each quarter of a second.
  for (int i : {1, 2}) {
    EXPECT_TRUE(eventually([&] { return passed_of(connection, i, 500) < 250; })) << Cluster::node(i);
    EXPECT_GT(forwarded(i), 0) << "the first packets go the long way";
  }
  // Another agent, with an empty cache, on the same connection.
  c.kill(1);
  talk(connection, 100);
  c.start(1);
  ASSERT_TRUE(c.ready(1, 1));
  EXPECT_TRUE(eventually([&] { return passed_of(connection, 1, 500) < 250; }));
}

// Tracking sees a connection's end: it does not stay in its table for days.
TEST_F(FlowCacheTest, TheEndOfAConnectionIsSeen) {
  start_both();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  auto established = [&](int i) {
    return c.box.sh(Cluster::node(i), "conntrack -L -p tcp --dport 8000 2>/dev/null").out.find("ESTABLISHED") !=
           std::string::npos;
  };
  {
    test::Connection connection(c.box.ns("a"), b + ":8000");
    connection.line();
    ASSERT_TRUE(eventually([&] { return passed_of(connection, 1, 500) < 250; }));
    EXPECT_TRUE(established(1) && established(2));
  }
  for (int i : {1, 2}) EXPECT_TRUE(eventually([&] { return !established(i); })) << Cluster::node(i);
}

// What is translated must be so on every packet.
TEST_F(FlowCacheTest, TranslatedConnectionsTakeTheLongWay) {
  start_both();
  c.add_pod(1, "a");
  c.add_pod(2, "b",
            {{"runtimeConfig",
              json::Object{{"portMappings", json::Array{json::Object{
                                                {"hostPort", 9000}, {"containerPort", 8000}, {"protocol", "tcp"}}}}}}});
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  test::Connection connection(c.box.ns("a"), Cluster::address(2) + ":9000");
  EXPECT_EQ(connection.line(), "from " + Cluster::address(1));
  for (int round = 0; round < 3; ++round) {
    EXPECT_GE(passed_of(connection, 2, 200), 400);
    std::this_thread::sleep_for(std::chrono::milliseconds(400));  // the pods' devices have their programs by then
  }
}

// A chain that drops what is new stops new connections, whatever the cache holds.
TEST_F(FlowCacheTest, NewConnectionsMeetTheFirewall) {
  start_both();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  test::AnswerServer server(c.box.ns("b"), {.word = "from", .tcp = 8000});
  test::Connection connection(c.box.ns("a"), b + ":8000");
  connection.line();
  ASSERT_TRUE(eventually([&] { return passed_of(connection, 2, 500) < 250; }));
  ASSERT_TRUE(c.box
                  .sh("n2",
                      "nft 'table ip stop { chain f { type filter hook forward priority 5; ct state new tcp dport "
                      "8000 reject with tcp reset; }; }'")
                  .ok());
  EXPECT_EQ(test::ask_tcp(c.box.ns("a"), b + ":8000"), "Connection refused");
  talk(connection, 100);
}

TEST_F(FlowCacheTest, CanBeTurnedOff) {
  start_both();
  c.add_pod(1, "a");
  auto programs = [&] {
    return c.box
        .sh("n1",
            "for d in $(ip -o link | sed 's/^[0-9]*: //; s/[:@].*//'); do tc filter show dev $d ingress; tc filter "
            "show dev $d egress; done")
        .out;
  };
  ASSERT_TRUE(eventually([&] { return programs().find("learn_pod") != std::string::npos; })) << programs();
  c.kill(1);
  EXPECT_NE(programs().find("lead"), std::string::npos) << "they outlive the agent";
  must(in_netns(c.box.ns("n1"), [&]() -> Result<void> {
    overlay::AgentCore core({.node_name = "n1",
                             .underlay = *IpAddress::parse(Cluster::address(1)),
                             .state_dir = c.dir(1),
                             .cni_dir = c.dir(1),
                             .flow_cache = false});
    core.set_pod_cidr(*Cidr::parse(Cluster::range(1)));
    return core.reconcile();
  }));
  EXPECT_EQ(programs(), "");
  EXPECT_EQ(c.box.sh("n1", "nft list ruleset").out.find("chain established"), std::string::npos);
}

}  // namespace
}  // namespace lab
