// The mesh under faults: agents as processes, nodes as namespaces, no API server anywhere. What a node knows of the
// others it has heard through the mesh, beginning with one of them.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "overlay-net/mesh/identity.h"
#include "tests/netns/mesh/mesh_cluster.h"

namespace lab {
namespace {

using test::eventually;
using test::MeshCluster;

struct MeshTest : testing::Test {
  MeshCluster c;
  void start_all() {
    c.start(1);
    c.start(2, {c.address(1)});
    c.start(3, {c.address(1)});
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(c.knows(i, 3)) << c.report_text(i);
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(c.routes_to(i, 2)) << c.report_text(i);
  }
};

TEST_F(MeshTest, OneKnownPeerIsEnoughForPodsToReachPodsEverywhere) {
  start_all();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b"), d = c.add_pod(3, "d");
  EXPECT_TRUE(c.ping("a", b));
  EXPECT_TRUE(c.ping("b", d));  // neither was told of the other by anybody but node 1
  EXPECT_TRUE(eventually([&] { return c.connected(2, 3) && c.connected(3, 2); })) << c.report_text(2);
}

TEST_F(MeshTest, AKilledAgentIsNoticedAndItsPodsGoOnTalking) {
  start_all();
  c.add_pod(1, "a");
  auto d = c.add_pod(3, "d");
  ASSERT_TRUE(c.ping("a", d));
  c.kill(3);
  EXPECT_TRUE(eventually([&] { return c.reachable(1) == 2 && c.reachable(2) == 2; })) << c.report_text(1);
  EXPECT_TRUE(c.ping("a", d));
  // It comes back with what it remembers, as a new run of the same peer, and knows the others by itself.
  c.start(3);
  EXPECT_TRUE(c.knows(3, 1));
  EXPECT_TRUE(c.ping("d", "10.244.1.2"));
  c.kill(3);
  c.start(3, {c.address(2)});
  EXPECT_TRUE(c.knows(3, 3));
  EXPECT_TRUE(c.knows(1, 3));
  EXPECT_TRUE(c.ping("a", d));
  EXPECT_FALSE(json::has(c.mesh(1), "clash"));
}

TEST_F(MeshTest, AgentsRestartUnderTrafficWithoutALostPacket) {
  start_all();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  ASSERT_TRUE(c.ping("a", b));
  auto before = c.box.describe("n1");
  Finished pings;
  std::thread pinger([&] { pings = c.box.run("a", {"busybox", "ping", "-c", "100", "-i", "0.02", "-W", "2", b}, 60); });
  c.kill(1);
  c.start(1, {c.address(2)});
  EXPECT_TRUE(c.knows(1, 3));
  c.kill(2);
  c.start(2, {c.address(1)});
  EXPECT_TRUE(c.knows(2, 3));
  pinger.join();
  EXPECT_NE(pings.out.find("100 packets received"), std::string::npos) << pings.out;
  EXPECT_TRUE(eventually([&] { return c.box.describe("n1") == before; }));
}

TEST_F(MeshTest, ACutLinkIsNoticedNamedAndHealed) {
  start_all();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b"), d = c.add_pod(3, "d");
  c.cut(3, 1);
  c.cut(3, 2);
  EXPECT_TRUE(eventually([&] { return c.reachable(1) == 2 && c.reachable(2) == 2 && c.reachable(3) == 1; }))
      << c.report_text(1);
  EXPECT_TRUE(c.ping("a", b));
  EXPECT_NE(c.log(1).find("nothing was heard for"), std::string::npos) << c.log(1);
  c.heal(3);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(c.knows(i, 3)) << c.report_text(i);
  EXPECT_TRUE(c.ping("a", d));
}

TEST_F(MeshTest, InAPartialMeshEverybodyKnowsEverybody) {
  c.cut(1, 3);
  c.start(1);
  c.start(2, {c.address(1)});
  c.start(3, {c.address(2)});
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(c.knows(i, 3)) << c.report_text(i);
  EXPECT_TRUE(eventually([&] { return json::num(c.peer(1, "n3"), "hops") == 2; })) << c.report_text(1);
  EXPECT_EQ(json::str(c.peer(1, "n3"), "via", "nickname"), "n2");
  EXPECT_EQ(json::str(c.peer(3, "n1"), "via", "nickname"), "n2");
  EXPECT_TRUE(c.routes_to(1, 2));  // announced over two hops
  // What cannot be reached directly says why.
  EXPECT_TRUE(eventually(
      [&] { return c.report_text(1).find("192.168.78.3:6783\",\"state\":\"failed\"") != std::string::npos; }, 40))
      << c.report_text(1);
  c.heal(1);
  EXPECT_TRUE(eventually([&] { return json::num(c.peer(1, "n3"), "hops") == 1; }, 40)) << c.report_text(1);
}

// A process that stands still for longer than the others wait, and one whose monotonic clock is far from theirs.
TEST_F(MeshTest, StoppedProcessesAndOtherClocksAreNoHarm) {
  c.start(1);
  c.start(2, {c.address(1)}, "secret", {"unshare", "--time", "--monotonic=5000000", "--fork", "--kill-child=SIGKILL"});
  c.start(3, {c.address(1)});
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(c.knows(i, 3)) << c.report_text(i);
  c.signal(3, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return c.reachable(1) == 2; })) << c.report_text(1);
  c.signal(3, SIGCONT);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(c.knows(i, 3)) << c.report_text(i);
  EXPECT_FALSE(json::has(c.mesh(1), "clash"));
}

TEST_F(MeshTest, AWrongPasswordIsRefusedAndToldOnce) {
  c.start(1);
  c.start(2, {c.address(1)});
  c.start(3, {c.address(1)}, "another");
  ASSERT_TRUE(c.knows(1, 2));
  EXPECT_TRUE(eventually([&] { return c.refused(1, "Unauthorized") >= 5; })) << c.log(1);
  EXPECT_EQ(c.count(c.log(1), "mesh: turned away"), 1) << c.log(1);
  EXPECT_EQ(c.count(c.log(3), "wrong password"), 1) << c.log(3);
  EXPECT_NE(c.report_text(3).find("wrong password"), std::string::npos);
  EXPECT_EQ(c.reachable(3), 1);
  EXPECT_EQ(c.reachable(1), 2);
  // The right one, and it is in.
  c.kill(3);
  c.start(3, {c.address(1)});
  EXPECT_TRUE(c.knows(3, 3));
}

TEST_F(MeshTest, TwoNodesOfOneNameAreNamed) {
  c.start(1);
  c.start(2, {c.address(1)});
  ASSERT_TRUE(c.knows(1, 2));
  c.start(3, {c.address(1)}, "secret", {}, "n2");
  EXPECT_TRUE(eventually([&] {
    return c.report_text(3).find("another peer has the name of this node") != std::string::npos;
  })) << c.report_text(3);
  EXPECT_TRUE(eventually([&] { return c.log(1).find("two nodes are called n2") != std::string::npos; })) << c.log(1);
  EXPECT_EQ(json::str(c.peer(1, "n2"), "nickname"), "n2");
  EXPECT_EQ(c.reachable(1), 2);
}

TEST_F(MeshTest, GarbageOnThePortHarmsNobody) {
  c.start(1);
  c.start(2, {c.address(1)});
  ASSERT_TRUE(c.knows(1, 2));
  c.throw_garbage("n3", c.address(1), 300);
  EXPECT_TRUE(eventually([&] { return c.refused(1, "Invalid") + c.refused(1, "Unavailable") >= 200; })) << c.log(1);
  EXPECT_LE(c.count(c.log(1), "mesh: turned away"), 1) << c.log(1);
  EXPECT_EQ(c.reachable(1), 2);
  c.start(3, {c.address(1)});
  EXPECT_TRUE(c.knows(3, 3));
}

// UDP of the sleeve, VXLAN of the kernel (with frames inside that are none), heartbeats, the plugin's socket.
TEST_F(MeshTest, GarbageOnEveryOtherPortHarmsNobody) {
  start_all();
  c.add_pod(1, "a");
  auto b = c.add_pod(2, "b");
  ASSERT_TRUE(c.ping("a", b));
  auto agent = c.agents.at("n1");
  const std::string vxlan("\x08\0\0\0\0\0\1\0", 8), frame = vxlan + "\xff\xff\xff\xff\xff\xff";
  for (int port : {6783, 6784, 6785, 8472}) c.throw_datagrams("n3", c.address(1), std::uint16_t(port), frame);
  c.throw_at_socket(1);
  EXPECT_TRUE(c.ping("a", b));
  EXPECT_EQ(::kill(agent, 0), 0);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(c.knows(i, 3)) << c.report_text(i);
  EXPECT_LT(c.log(1).size(), 20000u) << "a flood of lines";
  EXPECT_TRUE(c.ping("a", c.add_pod(1, "later")));
}

}  // namespace
}  // namespace lab
