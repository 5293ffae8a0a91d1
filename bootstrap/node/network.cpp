#include "bootstrap/node/network.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>

#include "base/fs.h"
#include "base/netlink/netlink.h"
#include "base/netlink/sysctl.h"
#include "base/nft/nft.h"

namespace lab::bootstrap {

namespace {

constexpr int kFirstSubnet = 77, kSubnets = 100;
constexpr const char* kNodeLink = "eth0";

std::string table_name(const LabNetwork& network) { return "lab-nat-" + network.bridge; }

// Names depend on the node's address, so that making them twice finds the first.
std::string port_name(const LabNetwork& network, const IpAddress& address) {
  return network.bridge + "-" + std::to_string(address.v4_value() & 0xff);
}

std::string nat_rules(const LabNetwork& network) {
  const std::string t = table_name(network), subnet = network.subnet.text();
  return "add table ip " + t + "\nflush table ip " + t + "\n" +
         "add chain ip " + t + " postrouting { type nat hook postrouting priority srcnat; }\n" +
         "add rule ip " + t + " postrouting ip saddr " + subnet + " oifname != \"" + network.bridge + "\" masquerade\n";
}

bool is_namespace(const std::string& path) {
  struct statfs st;
  return ::statfs(path.c_str(), &st) == 0 && st.f_type == NSFS_MAGIC;
}

// An ordinary file of that name was left by a machine that went down, or by a start that was killed.
Result<void> make_namespace(const std::string& path) {
  if (is_namespace(path)) return {};
  LAB_CHECK(NetNs::remove(path));
  LAB_CHECK(NetNs::create(path));
  return {};
}

// Netlink in the network's namespace, its own or this machine's.
Result<Netlink> netlink_of(const LabNetwork& network) {
  if (!network.isolated()) return Netlink::open();
  LAB_TRY(auto ns, NetNs::open(network.netns));
  return Netlink::open_in(ns);
}

Result<void> make_bridge(Netlink& netlink, const LabNetwork& network) {
  LAB_TRY(auto link, netlink.find_link(network.bridge));
  if (!link) LAB_CHECK(netlink.create_bridge({.name = network.bridge, .up = true}));
  LAB_TRY(auto bridge, netlink.link(network.bridge));
  LAB_CHECK(netlink.replace_address({.link = bridge.index, .address = {network.subnet.at(1), network.subnet.prefix}}));
  return netlink.change_link(bridge.index, {.up = true});
}

// There is no outside. The bridge forwards all the same, so that a node that asks for the outside is told at once that
// there is no way, instead of waiting for an answer.
Result<void> make_isolated(const LabNetwork& network) {
  LAB_CHECK(make_namespace(network.netns));
  LAB_TRY(auto netlink, netlink_of(network));
  LAB_TRY(auto loopback, netlink.link("lo"));
  LAB_CHECK(netlink.change_link(loopback.index, {.up = true}));
  LAB_CHECK(make_bridge(netlink, network));
  LAB_TRY(auto ns, NetNs::open(network.netns));
  return in_netns(ns, [] { return set_sysctl("net/ipv4/ip_forward", "1"); });
}

}  // namespace

LabNetwork isolated_network(const std::string& netns) {
  return {.bridge = "lab-br0",
          .subnet = *Cidr::parse("192.168." + std::to_string(kFirstSubnet) + ".0/24"),
          .netns = netns};
}

Result<LabNetwork> choose_network(const std::vector<LabNetwork>& others) {
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto addresses, netlink.addresses());
  LAB_TRY(auto routes, netlink.routes());
  for (int i = 0; i < kSubnets; ++i) {
    LabNetwork network{.bridge = "lab-br" + std::to_string(i),
                       .subnet = *Cidr::parse("192.168." + std::to_string(kFirstSubnet + i) + ".0/24")};
    LAB_TRY(auto link, netlink.find_link(network.bridge));
    bool taken = link.has_value();
    for (const auto& a : addresses) taken = taken || (a.address.address.is_v4() && network.subnet.overlaps(a.address));
    for (const auto& r : routes) taken = taken || (r.destination.address.is_v4() && r.destination.prefix > 0 && network.subnet.overlaps(r.destination));
    for (const auto& o : others)
      if (!o.isolated()) taken = taken || o.bridge == network.bridge || network.subnet.overlaps(o.subnet);
    if (!taken) return network;
  }
  return fail(Code::kUnavailable, "no free subnet was found between 192.168.77.0/24 and 192.168.176.0/24",
              "delete labs that are not needed: lab profile list, lab delete --profile NAME");
}

Result<void> make_network(const LabNetwork& network) {
  if (network.isolated()) return make_isolated(network);
  LAB_TRY(auto netlink, Netlink::open());
  LAB_CHECK(make_bridge(netlink, network));
  LAB_TRY(auto nft, Nft::open());
  LAB_CHECK(nft.run(nat_rules(network)));
  return {};
}

Result<void> connect_node(const LabNetwork& network, int pid, const std::string& node, const IpAddress& address) {
  LAB_TRY(auto ns, NetNs::of_pid(pid));
  LAB_TRY(auto inside, Netlink::open_in(ns));
  LAB_TRY(auto have, inside.find_link(kNodeLink));
  LAB_TRY(auto netlink, netlink_of(network));
  LAB_TRY(auto bridge, netlink.link(network.bridge));
  if (!have) {
    const std::string port = port_name(network, address);
    LAB_CHECK(netlink.delete_link(port));   // left by a node that ended a moment ago
    LAB_CHECK(netlink.create_veth({.here = {.name = port, .master = bridge.index, .up = true},
                                   .peer = {.name = kNodeLink, .mac = MacAddress::from_seed(network.bridge + node)},
                                   .peer_ns = ns}));
  }
  LAB_TRY(auto link, inside.link(kNodeLink));
  LAB_CHECK(inside.replace_address({.link = link.index, .address = {address, network.subnet.prefix}}));
  LAB_CHECK(inside.change_link(link.index, {.up = true}));
  return inside.replace_route({.destination = *Cidr::parse("0.0.0.0/0"), .gateway = network.subnet.at(1), .link = link.index});
}

Result<void> remove_network(const LabNetwork& network) {
  if (network.isolated()) return NetNs::remove(network.netns);   // links end with their namespace
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto links, netlink.links());
  for (const auto& link : links)
    if (link.name.starts_with(network.bridge + "-")) LAB_CHECK(netlink.delete_link(link.name));
  LAB_CHECK(netlink.delete_link(network.bridge));
  LAB_TRY(auto nft, Nft::open());
  return nft.delete_table("ip", table_name(network));
}

}  // namespace lab::bootstrap
