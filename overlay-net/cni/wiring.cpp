#include "overlay-net/cni/wiring.h"

#include <algorithm>
#include <cstdio>

#include "base/netlink/qdisc.h"

namespace lab::overlay {
namespace {

constexpr int kLoopbackIndex = 1;  // in every namespace

Result<Netlink> open_sandbox(const std::string& path) {
  LAB_TRY(auto ns, NetNs::open(path));
  return Netlink::open_in(ns);
}

Result<void> configure_inside(Netlink& inside, const std::string& ifname, const PodNetwork& network) {
  LAB_CHECK(inside.change_link(kLoopbackIndex, {.up = true}));
  LAB_TRY(auto device, inside.link(ifname));
  LAB_CHECK(inside.change_link(device.index, {.up = true}));
  LAB_CHECK(inside.replace_address({device.index, network.address}));
  // With an address of its own alone, the pod has its gateway on the link though no prefix says so.
  return inside.replace_route({.destination = {IpAddress::v4(0), 0},
                               .gateway = network.gateway,
                               .link = device.index,
                               .onlink = network.address.prefix == 32});
}

}  // namespace

std::string host_device_name(const Sandbox& sandbox) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (unsigned char c : sandbox.container_id + "/" + sandbox.ifname) hash = (hash ^ c) * 1099511628211u;
  char name[kMaxLinkName + 1];
  std::snprintf(name, sizeof name, "lab%012llx", static_cast<unsigned long long>(hash & 0xffffffffffff));
  return name;
}

Result<Wired> wire_pod(const Sandbox& sandbox, const PodNetwork& network) {
  LAB_TRY(auto ns, NetNs::open(sandbox.netns));
  LAB_TRY(auto here, Netlink::open());
  LAB_TRY(auto inside, Netlink::open_in(ns));
  LAB_TRY(auto bridge, here.link(network.bridge));
  Wired out;
  out.host_device = host_device_name(sandbox);
  out.bridge_mac = bridge.mac;
  // From the address alone: whoever gets it next, no neighbour's table goes stale.
  out.pod_mac = MacAddress::from_seed("pod " + network.address.address.text());
  out.host_mac = MacAddress::from_seed("host " + out.host_device);
  // Left by an attempt that died half way.
  LAB_CHECK(here.delete_link(out.host_device));
  LAB_CHECK(here.create_veth(
      {.here = {.name = out.host_device, .mtu = network.mtu, .mac = out.host_mac, .master = bridge.index, .up = true},
       .peer = {.name = sandbox.ifname, .mtu = network.mtu, .mac = out.pod_mac},
       .peer_ns = ns}));
  LAB_TRY(auto port, here.link(out.host_device));
  // Where the flow cache hangs its programs, later: making it then would cost the pod a packet. A kernel without it has
  // no flow cache either.
  (void)ensure_clsact(port.index);
  // A pod may be led back to itself by a service.
  LAB_CHECK(here.set_hairpin(port.index, true));
  LAB_CHECK(configure_inside(inside, sandbox.ifname, network));
  // The pod's first packet shall pass, so all three devices on its way have to be seen running.
  LAB_TRY(auto device, inside.link(sandbox.ifname));
  LAB_CHECK(inside.wait_running(device.index));
  LAB_CHECK(here.wait_running(port.index));
  LAB_CHECK(here.wait_running(bridge.index));
  return out;
}

Result<void> unwire_pod(const Sandbox& sandbox) {
  LAB_TRY(auto here, Netlink::open());
  return here.delete_link(host_device_name(sandbox));
}

Result<void> check_pod(const Sandbox& sandbox, const PodNetwork& network) {
  LAB_TRY(auto here, Netlink::open());
  LAB_TRY(auto bridge, here.link(network.bridge));
  LAB_TRY(auto port, here.link(host_device_name(sandbox)));
  if (port.master != bridge.index) return fail(Code::kConflict, port.name + " is no port of " + bridge.name);
  if (!port.up) return fail(Code::kConflict, port.name + " is down");
  LAB_TRY(auto inside, open_sandbox(sandbox.netns));
  LAB_TRY(auto device, inside.link(sandbox.ifname));
  if (!device.up) return fail(Code::kConflict, sandbox.ifname + " in the sandbox is down");
  LAB_TRY(auto addresses, inside.addresses(device.index));
  if (std::ranges::find(addresses, InterfaceAddress{device.index, network.address}) == addresses.end()) {
    return fail(Code::kConflict, sandbox.ifname + " in the sandbox lacks the address " + network.address.text());
  }
  LAB_TRY(auto routes, inside.routes(device.index));
  auto is_default = [&](const Route& r) { return r.destination.prefix == 0 && r.gateway == network.gateway; };
  if (std::ranges::none_of(routes, is_default)) {
    return fail(Code::kConflict, "the sandbox has no default route through " + network.gateway.text());
  }
  return {};
}

Result<void> loopback_up(const std::string& netns) {
  LAB_TRY(auto inside, open_sandbox(netns));
  return inside.change_link(kLoopbackIndex, {.up = true});
}

}  // namespace lab::overlay
