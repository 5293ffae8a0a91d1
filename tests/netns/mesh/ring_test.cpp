// Nodes that share one range of pod addresses through the ring, without an API server: real agents, real packets.
#include <chrono>
#include <set>
#include <thread>

#include "tests/netns/mesh/mesh_cluster.h"

namespace lab {
namespace {

using test::eventually;
using test::MeshCluster;

struct RingNodes : testing::Test {
  MeshCluster c{4};
  std::map<std::string, int> pods;  // address -> node
  std::map<std::string, std::string> names;

  void start(int i, const std::string& founders, std::vector<std::string> peers = {}) {
    c.start(i, std::move(peers), "secret", {}, {}, founders);
  }
  void start_three() {
    start(1, "n1,n2,n3");
    start(2, "n1,n2,n3", {c.address(1)});
    start(3, "n1,n2,n3", {c.address(1)});
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(c.routes_to(i, 2)) << c.report_text(i) << c.log(i);
  }
  std::int64_t owned(int i) {
    for (const auto& p : json::list(c.get(i), "ring", "peers")) {
      if (json::flag(p, "self")) return json::num(p, "owned");
    }
    return 0;
  }
  std::string add(int i, const std::string& name) {
    auto address = c.add_pod(i, name);
    EXPECT_TRUE(address.starts_with("10.99.0.")) << address;
    EXPECT_TRUE(pods.emplace(address, i).second) << address << " is given twice";
    names[name] = address;
    return address;
  }
  std::string address_of(const std::string& name) { return names.at(name); }
};

TEST_F(RingNodes, AgreeAtFirstStartAndPodsReachEachOther) {
  start_three();
  EXPECT_EQ(owned(1) + owned(2) + owned(3), 256);
  auto a = add(1, "a"), b = add(2, "b"), d = add(3, "d"), near = add(1, "near");
  EXPECT_TRUE(c.ping("a", b));
  EXPECT_TRUE(c.ping("b", d));
  EXPECT_TRUE(c.ping("d", a));
  EXPECT_TRUE(c.ping("a", near));  // each has only its own address, so that this goes by the node
  EXPECT_TRUE(c.ping(c.node(2), a));
  // One that joins later is given space by the others.
  start(4, "-", {c.address(3)});
  EXPECT_TRUE(eventually([&] { return owned(4) > 0; }, 60)) << c.report_text(4) << c.log(4);
  ASSERT_TRUE(c.routes_to(4, 3)) << c.report_text(4);
  auto e = add(4, "e");
  EXPECT_TRUE(c.ping("e", a));
  EXPECT_TRUE(c.ping("b", e));
}

TEST_F(RingNodes, WhoLeavesHandsItsAddressesOver) {
  start_three();
  auto leave = [&] {
    return c.box.run(c.node(3), {"curl", "-s", "-m", "5", "-X", "POST", "--unix-socket", c.dir(3) + "/agent.sock",
                                 "http://x/v1/net/leave"});
  };
  add(3, "d");
  EXPECT_NE(leave().out.find("in use"), std::string::npos);
  c.del_pod(3, "d");
  EXPECT_EQ(leave().out, "{}");
  c.kill(3);
  EXPECT_TRUE(eventually([&] { return owned(1) + owned(2) == 256; }, 60)) << c.report_text(1) << c.report_text(2);
  EXPECT_TRUE(eventually([&] {
    return !json::list(c.get(1), "ring", "peers").empty() && json::list(c.get(1), "ring", "peers").size() == 2;
  })) << c.report_text(1);
}

TEST_F(RingNodes, CutOffBothSidesGoOnAndADeadNodesSpaceIsTakenOver) {
  start_three();
  add(1, "a");
  c.cut(3, 1);
  c.cut(3, 2);
  ASSERT_TRUE(eventually([&] { return c.reachable(1) == 2 && c.reachable(3) == 1; }, 60));
  for (int i = 0; i < 3; ++i) {
    add(1, "left" + std::to_string(i));
    add(2, "mid" + std::to_string(i));
    add(3, "right" + std::to_string(i));
  }
  c.heal(3);
  EXPECT_TRUE(c.knows(1, 3));
  EXPECT_TRUE(c.ping("a", [&] {
    for (const auto& [address, node] : pods) {
      if (node == 3) return address;
    }
    return std::string();
  }()));
  // Alive, it is not removed; its machine gone, it is.
  auto remove = [&] {
    return c.box.run(c.node(1), {"curl", "-s", "-m", "5", "-X", "DELETE", "--unix-socket", c.dir(1) + "/agent.sock",
                                 "http://x/v1/net/peers/n3"});
  };
  EXPECT_NE(remove().out.find("is alive"), std::string::npos);
  c.kill(3);
  ASSERT_TRUE(eventually([&] { return c.reachable(1) == 2; }, 60));
  auto before = owned(1), lost = 256 - owned(1) - owned(2);
  EXPECT_EQ(remove().out, "{}");
  EXPECT_TRUE(eventually([&] { return owned(1) == before + lost; }, 60)) << c.report_text(1);
  EXPECT_EQ(owned(1) + owned(2), 256);
}

// The times of these agents are a third of life's and less: what is eight seconds here is half a minute there, and more
// than it takes to call a peer dead. Splits of all lengths, with crashes in between, are in tests/simulation/ring.
TEST_F(RingNodes, HalfTheNodesAreCutOffWhilePodsAreCreatedOnBothSides) {
  for (int i = 1; i <= 4; ++i) start(i, "n1,n2,n3,n4", i > 1 ? std::vector{c.address(1)} : std::vector<std::string>{});
  for (int i = 1; i <= 4; ++i) ASSERT_TRUE(c.routes_to(i, 3)) << c.report_text(i) << c.log(i);
  add(1, "a1");
  add(4, "a4");
  for (int left : {1, 2}) {
    for (int right : {3, 4}) c.cut(left, right);
  }
  for (int i = 1; i <= 4; ++i) ASSERT_TRUE(eventually([&] { return c.reachable(i) == 2; }, 60)) << c.report_text(i);
  auto since = std::chrono::steady_clock::now();
  for (int round = 0; std::chrono::steady_clock::now() - since < std::chrono::seconds(5); ++round) {
    for (int i = 1; i <= 4; ++i) add(i, "p" + std::to_string(i) + std::to_string(round));
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  EXPECT_TRUE(c.ping("p10", address_of("p20")));  // within each half they talk
  EXPECT_TRUE(c.ping("p30", address_of("p40")));
  for (int left : {1, 2}) c.heal(left);
  for (int i = 1; i <= 4; ++i) EXPECT_TRUE(c.knows(i, 4)) << c.report_text(i);
  EXPECT_TRUE(c.ping("p10", address_of("p30")));
  EXPECT_TRUE(c.ping("p40", address_of("p20")));
  EXPECT_TRUE(c.ping("a1", address_of("a4")));
}

}  // namespace
}  // namespace lab
