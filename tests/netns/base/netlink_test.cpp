// base/netlink and base/nft against the real kernel.
#include "base/netlink/netlink.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>

#include "base/netlink/conntrack.h"
#include "base/netlink/qdisc.h"
#include "base/netlink/sysctl.h"
#include "base/nft/nft.h"
#include "tests/netns/support/sandbox.h"

namespace lab {
namespace {

using test::must;

struct NetlinkTest : testing::Test {
  test::Sandbox box;
};

TEST_F(NetlinkTest, NamespacesAreMadeOnceAndLeaveNothing) {
  box.add("a");
  EXPECT_EQ(NetNs::create(box.path("a")).error().code, Code::kAlreadyExists);
  EXPECT_EQ(NetNs::open(box.path("none")).error().code, Code::kNotFound);
  auto here = must(NetNs::current());
  EXPECT_FALSE(here.same_as(box.ns("a")));
  EXPECT_TRUE(box.ns("a").same_as(must(NetNs::open(box.path("a")))));
  bool inside =
      in_netns(box.ns("a"), [&]() -> Result<bool> { return must(NetNs::current()).same_as(box.ns("a")); }).value();
  EXPECT_TRUE(inside);
  EXPECT_TRUE(here.same_as(must(NetNs::current())));
  box.remove("a");
  EXPECT_FALSE(NetNs::open(box.path("a")));
  EXPECT_TRUE(NetNs::remove(box.path("a")));
}

TEST_F(NetlinkTest, ClsactIsMadeOnce) {
  box.add("x");
  auto x = must(Netlink::open_in(box.ns("x")));
  must(x.create_veth({.here = {.name = "a"}, .peer = {.name = "b"}}));
  const int index = must(x.link("a")).index;
  for (int i = 0; i < 2; ++i) must(in_netns(box.ns("x"), [&] { return ensure_clsact(index); }));
  EXPECT_NE(box.sh("x", "tc qdisc show dev a").out.find("clsact"), std::string::npos);
  EXPECT_EQ(in_netns(box.ns("x"), [&] { return ensure_clsact(index + 100); }).error().sys_errno, ENODEV);
}

TEST_F(NetlinkTest, BridgeVethAndAddressesCarryTraffic) {
  box.add("hub");
  box.add("x");
  box.add("y");
  auto hub = must(Netlink::open_in(box.ns("hub")));
  auto before = box.describe("hub");
  must(hub.create_bridge({.name = "br0", .mtu = 1400, .mac = *MacAddress::parse("02:00:00:00:00:01"), .up = true}));
  EXPECT_FALSE(hub.create_bridge({.name = "br0"}));
  box.plug("x", "eth0", "10.9.0.1/24", "hub", "br0");
  box.plug("y", "eth0", "10.9.0.2/24", "hub", "br0");
  auto bridge = must(hub.link("br0"));
  EXPECT_EQ(bridge.kind, "bridge");
  EXPECT_EQ(bridge.mac.text(), "02:00:00:00:00:01");
  EXPECT_TRUE(bridge.up);
  auto port = must(hub.link("p-x"));
  EXPECT_EQ(port.master, bridge.index);
  must(hub.set_hairpin(port.index, true));
  auto ping = box.run("x", {"busybox", "ping", "-c1", "-W5", "10.9.0.2"});
  EXPECT_TRUE(ping.ok()) << ping.out;

  must(hub.delete_link("p-x"));
  must(hub.delete_link("p-x"));
  must(hub.delete_link("p-y"));
  must(hub.delete_link("br0"));
  EXPECT_EQ(box.describe("hub"), before);
}

TEST_F(NetlinkTest, LinksChangeNameMtuStateAndNamespace) {
  box.add("a");
  box.add("b");
  auto a = must(Netlink::open_in(box.ns("a")));
  must(a.create_veth({.here = {.name = "one"}, .peer = {.name = "other"}}));
  auto one = must(a.link("one"));
  EXPECT_FALSE(one.up);
  must(a.change_link(one.index, {.mtu = 1234, .name = "two", .mac = *MacAddress::parse("02:aa:00:00:00:07")}));
  must(a.change_link(one.index, {.up = true}));
  auto two = must(a.link(one.index));
  EXPECT_EQ(two.name, "two");
  EXPECT_EQ(two.mtu, 1234u);
  EXPECT_TRUE(two.up);
  EXPECT_EQ(two.mac.text(), "02:aa:00:00:00:07");
  must(a.change_link(two.index, {.netns = box.ns("b")}));
  EXPECT_FALSE(must(a.find_link("two")));
  auto b = must(Netlink::open_in(box.ns("b")));
  EXPECT_TRUE(must(b.find_link("two")));
  EXPECT_EQ(a.create_bridge({.name = "sixteen-letters!"}).error().code, Code::kBadRequest);
  EXPECT_EQ(a.link("two").error().code, Code::kNotFound);
  EXPECT_EQ(a.link(4711).error().code, Code::kNotFound);
}

TEST_F(NetlinkTest, VxlanKeepsItsConfiguration) {
  box.add("a");
  auto a = must(Netlink::open_in(box.ns("a")));
  VxlanConfig config{.vni = 77, .port = 6784, .local = *IpAddress::parse("127.0.0.1")};
  must(a.create_vxlan({.name = "vx", .mac = *MacAddress::parse("02:00:00:00:00:09"), .up = true}, config));
  auto link = must(a.link("vx"));
  ASSERT_TRUE(link.vxlan);
  EXPECT_EQ(*link.vxlan, config);

  FdbEntry entry{link.index, *MacAddress::parse("02:00:00:00:00:0a"), *IpAddress::parse("192.0.2.5")};
  must(a.replace_fdb(entry));
  must(a.replace_fdb(entry));
  EXPECT_EQ(must(a.fdb(link.index)), std::vector{entry});
  must(a.delete_fdb(entry));
  must(a.delete_fdb(entry));
  EXPECT_TRUE(must(a.fdb(link.index)).empty());

  Neighbour n{link.index, *IpAddress::parse("10.244.2.0"), entry.mac, true};
  must(a.replace_neighbour(n));
  EXPECT_EQ(must(a.neighbours(link.index)), std::vector{n});
  Route r{.destination = *Cidr::parse("10.244.2.0/24"),
          .gateway = n.address,
          .link = link.index,
          .onlink = true,
          .protocol = 80};
  must(a.replace_route(r));
  must(a.replace_route(r));
  auto routes = must(a.routes(link.index));
  std::erase_if(routes, [](const Route& x) { return x.destination.address.is_v6(); });
  EXPECT_EQ(routes, std::vector{r});
  EXPECT_EQ(must(a.route_to(*IpAddress::parse("10.244.2.9"))).link, link.index);
  must(a.delete_route(r));
  must(a.delete_route(r));
  must(a.delete_neighbour(n));
  must(a.delete_neighbour(n));
}

TEST_F(NetlinkTest, AddressesAreReplacedAndRemoved) {
  box.add("a");
  auto a = must(Netlink::open_in(box.ns("a")));
  InterfaceAddress address{1, *Cidr::parse("10.96.0.10/32")};
  must(a.replace_address(address));
  must(a.replace_address(address));
  EXPECT_EQ(std::ranges::count(must(a.addresses(1)), address), 1);
  must(a.delete_address(address));
  must(a.delete_address(address));
  EXPECT_EQ(std::ranges::count(must(a.addresses()), address), 0);
}

TEST_F(NetlinkTest, SysctlsBelongToTheNamespace) {
  box.add("a");
  auto read = [&] { return in_netns(box.ns("a"), [] { return read_sysctl("net/ipv4/conf/lo/rp_filter"); }).value(); };
  must(in_netns(box.ns("a"), [] { return set_sysctl("net/ipv4/conf/lo/rp_filter", "2"); }));
  EXPECT_EQ(read(), "2");
  must(in_netns(box.ns("a"), [] { return set_sysctl("net/ipv4/conf/lo/rp_filter", "0"); }));
  EXPECT_EQ(read(), "0");
  EXPECT_FALSE(set_sysctl("net/no/such", "1"));
}

TEST_F(NetlinkTest, KernelSaysWhy) {
  box.add("a");
  auto a = must(Netlink::open_in(box.ns("a")));
  auto bad = a.replace_route(
      {.destination = *Cidr::parse("10.1.0.0/16"), .gateway = *IpAddress::parse("192.0.2.1"), .link = 1});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().sys_errno, 0);
  EXPECT_NE(bad.error().text().find("10.1.0.0/16"), std::string::npos) << bad.error().text();
  EXPECT_NE(bad.error().text().find("Nexthop has invalid gateway"), std::string::npos) << bad.error().text();
}

TEST_F(NetlinkTest, NftRunsAWholeScriptOrNothing) {
  box.add("a");
  auto nft = must(in_netns(box.ns("a"), [] { return Nft::open(); }));
  must(nft.run("add table ip t\nadd set ip t s { type ipv4_addr; }\nadd element ip t s { 10.0.0.1 }\n"));
  auto bad = nft.run("add element ip t s { 10.0.0.2 }\nadd element ip t nosuch { 10.0.0.3 }\n");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("add element ip t nosuch"), std::string::npos) << bad.error().message;
  auto listed = must(nft.run("list set ip t s"));
  EXPECT_NE(listed.find("10.0.0.1"), std::string::npos);
  EXPECT_EQ(listed.find("10.0.0.2"), std::string::npos);
  EXPECT_NE(must(nft.run_json("list tables")).find("\"t\""), std::string::npos);
  must(nft.delete_table("ip", "t"));
  must(nft.delete_table("ip", "t"));
  EXPECT_EQ(must(nft.run("list tables")), "");
  // The namespace it was opened in is the only one touched.
  auto here = box.sh("a", "nft list tables");
  EXPECT_EQ(here.out, "");
}

TEST_F(NetlinkTest, ConntrackEntriesAreFoundAndRemoved) {
  box.add("a");
  auto nft = must(in_netns(box.ns("a"), [] { return Nft::open(); }));
  must(nft.run(
      "table ip t { chain c { type nat hook output priority -100; udp dport 5000 dnat to 127.0.0.2:5001; }; }"));
  box.sh("a",
         "for i in 1 2 3; do echo x | socat - UDP4-SENDTO:127.0.0.1:5000; done; echo y | socat - "
         "UDP4-SENDTO:127.0.0.1:6000");
  auto flows = must(in_netns(box.ns("a"), [] { return conntrack_flows(IPPROTO_UDP); }));
  auto to_5000 = std::ranges::count_if(flows, [](const auto& f) { return f.destination_port == 5000; });
  ASSERT_GE(to_5000, 3);
  for (const auto& f : flows) {
    if (f.destination_port == 5000) {
      EXPECT_EQ(f.reply_source.text(), "127.0.0.2");
      EXPECT_EQ(f.reply_source_port, 5001);
    }
  }
  int removed = must(in_netns(box.ns("a"), [] {
    return conntrack_remove(IPPROTO_UDP, [](const ConntrackFlow& f) { return f.reply_source_port == 5001; });
  }));
  EXPECT_EQ(removed, to_5000);
  flows = must(in_netns(box.ns("a"), [] { return conntrack_flows(IPPROTO_UDP); }));
  EXPECT_TRUE(std::ranges::none_of(flows, [](const auto& f) { return f.destination_port == 5000; }));
  EXPECT_TRUE(std::ranges::any_of(flows, [](const auto& f) { return f.destination_port == 6000; }));
}

}  // namespace
}  // namespace lab
