// The lab's network inside a namespace of its own: chosen free of collisions, made twice, removed without a trace.
#include "bootstrap/node/network.h"

#include <gtest/gtest.h>

#include "base/netlink/netlink.h"
#include "base/nft/nft.h"
#include "tests/netns/support/sandbox.h"

namespace lab::bootstrap {
namespace {

using test::must;

struct NodeNetworkTest : testing::Test {
  test::Sandbox box;

  template <class F>
  auto in_host(F f) {
    return in_netns(box.ns("host"), f);
  }
  std::string tables() {
    return must(in_host([] { return must(Nft::open()).run("list ruleset"); }));
  }
};

TEST_F(NodeNetworkTest, ChoosesWhatCollidesWithNothing) {
  box.add("host");
  auto first = must(in_host([] { return choose_network(); }));
  EXPECT_EQ(first.bridge, "lab-br0");
  EXPECT_EQ(first.subnet.text(), "192.168.77.0/24");

  auto host = must(Netlink::open_in(box.ns("host")));
  must(host.create_bridge({.name = "taken0", .up = true}));
  const int taken = must(host.link("taken0")).index;
  // An address in the first subnet, a wide route over the second, a bridge with the third name.
  must(host.replace_address({taken, *Cidr::parse("192.168.77.9/30")}));
  must(host.replace_route({.destination = *Cidr::parse("192.168.78.128/25"), .link = taken}));
  must(host.create_bridge({.name = "lab-br2"}));
  auto next = must(in_host([] { return choose_network(); }));
  EXPECT_EQ(next.bridge, "lab-br3");
  EXPECT_EQ(next.subnet.text(), "192.168.80.0/24");
}

TEST_F(NodeNetworkTest, MadeTwiceAndRemovedItLeavesNothing) {
  box.add("host");
  const auto links_before = box.describe("host");
  const std::string tables_before = tables();
  auto network = must(in_host([] { return choose_network(); }));
  for (int round = 0; round < 2; ++round) must(in_host([&] { return make_network(network); }));
  auto host = must(Netlink::open_in(box.ns("host")));
  auto bridge = must(host.link("lab-br0"));
  EXPECT_TRUE(bridge.up);
  bool has_address = false;
  for (const auto& a : must(host.addresses())) has_address = has_address || a.address.text() == "192.168.77.1/24";
  EXPECT_TRUE(has_address);
  const std::string made = tables();
  EXPECT_NE(made.find("masquerade"), std::string::npos) << made;
  EXPECT_EQ(made.find("masquerade"), made.rfind("masquerade")) << "made twice, one rule";
  for (int round = 0; round < 2; ++round) must(in_host([&] { return remove_network(network); }));
  EXPECT_EQ(box.describe("host"), links_before);
  EXPECT_EQ(tables(), tables_before);
}

TEST_F(NodeNetworkTest, NodesReachTheBridgeAndEachOther) {
  box.add("host");
  box.add("a");
  box.add("b");
  const auto before = box.describe("host");
  auto network = must(in_host([] { return choose_network(); }));
  must(in_host([&] { return make_network(network); }));
  struct Node {
    const char* name;
    std::uint32_t host;
  };
  for (const auto& node : {Node{"a", 2}, Node{"b", 3}}) {
    // Nodes are known by a process of theirs.
    const pid_t pid = box.background(node.name, {"sleep", "1000"});
    ASSERT_TRUE(test::eventually([&] {
      auto ns = NetNs::of_pid(pid);
      return ns && ns->same_as(box.ns(node.name));
    }));
    for (int round = 0; round < 2; ++round)
      must(in_host([&] { return connect_node(network, pid, node.name, network.subnet.at(node.host)); }));
  }
  for (const char* target : {"192.168.77.1", "192.168.77.3"}) {
    auto ping = box.run("a", {"busybox", "ping", "-c1", "-W10", target});
    EXPECT_TRUE(ping.ok()) << target << ": " << ping.out;
  }
  must(in_host([&] { return remove_network(network); }));
  EXPECT_EQ(box.describe("host"), before) << "the nodes' ends went with the bridge";
}

}  // namespace
}  // namespace lab::bootstrap
