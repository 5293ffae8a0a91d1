#include "overlay-net/datapath/datapath.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/netlink/sysctl.h"
#include "base/subprocess.h"

namespace lab::overlay {
namespace {

template <class T>
bool contains(const std::vector<T>& items, const T& item) {
  return std::ranges::find(items, item) != items.end();
}

// A service's answer may come back another way than the question went, so a strict check of sources is made a loose
// one; where there is none, that would be a look-up per packet for nothing.
Result<void> set_device_parameters(const std::string& device) {
  const bool strict = read_sysctl("net/ipv4/conf/all/rp_filter").value_or("0") == "1";
  LAB_CHECK(set_sysctl("net/ipv4/conf/" + device + "/rp_filter", strict ? "2" : "0"));
  if (!has_sysctl("net/ipv6/conf/" + device)) return {};
  return set_sysctl("net/ipv6/conf/" + device + "/disable_ipv6", "1");
}

}  // namespace

Result<Datapath> Datapath::open(DatapathConfig config) {
  if (!config.underlay.is_v4()) return fail(Code::kInvalid, "the node's own address is not set, or is not IPv4");
  if (!config.pod_cidr.address.is_v4() || config.pod_cidr.prefix > 29) {
    return fail(Code::kInvalid, "'" + config.pod_cidr.text() + "' is no usable pod range",
                "an IPv4 range of /29 or larger");
  }
  config.pod_cidr = config.pod_cidr.network();
  LAB_TRY(auto netlink, Netlink::open());
  return Datapath(std::move(config), std::move(netlink));
}

Result<ReconcileReport> Datapath::reconcile(const std::vector<Peer>& peers, const std::vector<Cidr>& local) {
  ReconcileReport report;
  LAB_CHECK(check_range_is_free());
  LAB_TRY(report.mtu, pod_mtu());
  LAB_TRY(auto bridge, ensure_bridge(report));
  LAB_TRY(auto vxlan, ensure_vxlan(report));
  LAB_CHECK(set_parameters(report));
  LAB_CHECK(ensure_link_state(bridge, MacAddress::from_seed("bridge " + config_.vtep_mac.text()), report));
  Cidr gateway{gateway_address(config_.pod_cidr), config_.pod_cidr.prefix};
  auto vtep = Cidr::host(vtep_address(config_.pod_cidr));
  if (ranges_move()) gateway = vtep = Cidr::host(config_.gateway);
  LAB_CHECK(ensure_only_address(bridge, gateway, report));
  if (ranges_move()) LAB_CHECK(ensure_local_routes(bridge, local, report));
  LAB_CHECK(ensure_link_state(vxlan, config_.vtep_mac, report, !config_.encrypted));
  LAB_CHECK(ensure_only_address(vxlan, vtep, report));
  LAB_CHECK(ensure_sleeve(vtep, report));
  LAB_CHECK(ensure_wireguard(vtep, report));
  LAB_TRY(auto programmed, netlink_.fdb(vxlan.index));
  LAB_CHECK(ensure_peers(vxlan, usable(peers, programmed, report), report));
  return report;
}

// A range that the host already routes elsewhere would cut off what is there.
Result<void> Datapath::check_range_is_free() {
  LAB_TRY(auto routes, netlink_.routes());
  for (const auto& route : routes) {
    if (route.destination.prefix == 0 || !route.destination.overlaps(config_.pod_cidr)) continue;
    auto link = netlink_.link(route.link);
    if (!link || link->name == config_.bridge || link->name == config_.vxlan || link->name == config_.sleeve ||
        link->name == config_.wireguard)
      continue;
    return fail(Code::kConflict,
                "pod range " + config_.pod_cidr.text() + " overlaps the route to " + route.destination.text() +
                    " through " + link->name,
                "choose another range with --pod-network-cidr, or remove that route");
  }
  return {};
}

Result<unsigned> Datapath::pod_mtu() {
  LAB_TRY(auto addresses, netlink_.addresses());
  for (const auto& a : addresses) {
    if (a.address.address != config_.underlay) continue;
    LAB_TRY(auto link, netlink_.link(a.link));
    // Loopback claims 65536, more than an IP packet can hold.
    return std::min(link.mtu, 65535u) - (config_.encrypted ? kWireguardOverhead : kVxlanOverhead);
  }
  return fail(Code::kUnavailable, "no device of this node has the address " + config_.underlay.text(),
              "check the node's address (--node-ip) and that its network is up");
}

Result<Link> Datapath::ensure_bridge(ReconcileReport& report) {
  LAB_TRY(auto found, netlink_.find_link(config_.bridge));
  if (found && found->kind != "bridge") {
    return fail(Code::kConflict, "device " + config_.bridge + " exists and is no bridge", "rename or remove it");
  }
  if (!found) {
    // With another MTU than wanted: only a later change pins it, else the bridge follows its ports.
    LAB_CHECK(netlink_.create_bridge({.name = config_.bridge, .mtu = report.mtu - 1}));
    ++report.changes;
  }
  return netlink_.link(config_.bridge);
}

Result<Link> Datapath::ensure_vxlan(ReconcileReport& report) {
  VxlanConfig wanted{.vni = config_.vni, .port = config_.port, .local = config_.underlay};
  LAB_TRY(auto found, netlink_.find_link(config_.vxlan));
  if (found && (found->kind != "vxlan" || found->vxlan != wanted)) {
    LAB_CHECK(netlink_.delete_link(found->index));
    found.reset();
    ++report.changes;
  }
  if (!found) {
    LAB_CHECK(netlink_.create_vxlan({.name = config_.vxlan, .mtu = report.mtu, .mac = config_.vtep_mac}, wanted));
    ++report.changes;
  }
  return netlink_.link(config_.vxlan);
}

// The device comes and goes with the process that made it; its address is what this node's own packets come from.
Result<void> Datapath::ensure_sleeve(const Cidr& address, ReconcileReport& report) {
  LAB_TRY(sleeve_, netlink_.find_link(config_.sleeve));
  return sleeve_ ? ensure_tunnel(*sleeve_, address, report) : Result<void>{};
}

// One that is left of a time with encryption would hold the tunnel's port.
Result<void> Datapath::ensure_wireguard(const Cidr& address, ReconcileReport& report) {
  LAB_TRY(wireguard_, netlink_.find_link(config_.wireguard));
  if (wireguard_ && wireguard_->kind != "wireguard") wireguard_.reset();
  if (!wireguard_) return {};
  if (!config_.encrypted) {
    ++report.changes;
    return netlink_.delete_link(std::exchange(wireguard_, {})->index);
  }
  if (auto up = ensure_tunnel(*wireguard_, address, report); !up) {
    report.warnings.push_back(config_.wireguard + " cannot be used, so user space encrypts: " + up.error().text() +
                              "; does another program use UDP " + std::to_string(config_.port) + "?");
    wireguard_.reset();
  }
  return {};
}

Result<void> Datapath::ensure_tunnel(const Link& link, const Cidr& address, ReconcileReport& report) {
  LAB_CHECK(set_device_parameters(link.name));
  LAB_CHECK(ensure_link_state(link, link.mac, report));
  return ensure_only_address(link, address, report);
}

Result<void> Datapath::ensure_link_state(const Link& link, const MacAddress& mac, ReconcileReport& report, bool up) {
  LinkChange change;
  if (link.mtu != report.mtu) change.mtu = report.mtu;
  if (link.mac != mac) change.mac = mac;
  if (link.up != up) change.up = up;
  if (!change.mtu && !change.mac && !change.up) return {};
  ++report.changes;
  return netlink_.change_link(link.index, change);
}

Result<void> Datapath::ensure_only_address(const Link& link, const Cidr& address, ReconcileReport& report) {
  LAB_TRY(auto present, netlink_.addresses(link.index));
  InterfaceAddress wanted{link.index, address};
  if (!contains(present, wanted)) {
    LAB_CHECK(netlink_.replace_address(wanted));
    ++report.changes;
  }
  for (const auto& a : present) {
    if (a == wanted || a.address.address.is_v6()) continue;
    LAB_CHECK(netlink_.delete_address(a));
    ++report.changes;
  }
  return {};
}

Result<void> Datapath::set_parameters(ReconcileReport& report) {
  LAB_CHECK(set_sysctl("net/ipv4/ip_forward", "1"));
  for (const auto& device : {config_.bridge, config_.vxlan}) LAB_CHECK(set_device_parameters(device));
  // Without it, answers between two pods of one node bypass the translation of services.
  // Distributions have it as a module, which nothing loads by itself.
  if (!has_sysctl("net/bridge/bridge-nf-call-iptables") && !asked_for_module_) {
    asked_for_module_ = true;
    (void)run({.argv = {"modprobe", "--quiet", "br_netfilter"}, .timeout = std::chrono::seconds(20)});
  }
  if (has_sysctl("net/bridge/bridge-nf-call-iptables")) {
    LAB_CHECK(set_sysctl("net/bridge/bridge-nf-call-iptables", "1"));
  } else {
    report.warnings.push_back(
        "the kernel lacks br_netfilter: a pod cannot reach a service whose endpoint is on its own node; "
        "run 'modprobe br_netfilter'");
  }
  return {};
}

// Of peers that claim the same range, the one that is programmed already keeps it: a newcomer cannot take traffic away.
std::vector<Peer> Datapath::usable(std::vector<Peer> peers, const std::vector<FdbEntry>& programmed,
                                   ReconcileReport& report) const {
  auto is_programmed = [&](const Peer& p) {
    return std::ranges::any_of(programmed,
                               [&](const FdbEntry& e) { return e.mac == p.vtep_mac && e.remote == p.underlay; });
  };
  std::vector<Peer> incumbents, newcomers;
  for (auto& p : peers) (is_programmed(p) ? incumbents : newcomers).push_back(std::move(p));
  peers = std::move(incumbents);
  peers.insert(peers.end(), newcomers.begin(), newcomers.end());
  std::vector<Peer> out;
  for (const auto& peer : peers) {
    std::string why;
    auto twin = std::ranges::find_if(out, [&](const Peer& p) { return p.pod_cidr.overlaps(peer.pod_cidr); });
    if (!peer.underlay.is_v4() || (!ranges_move() && !peer.pod_cidr.address.is_v4()) || peer.vtep_mac.empty()) {
      why = "its address, pod range or MAC is not known yet";
    } else if (peer.underlay == config_.underlay) {
      why = "it has this node's own address " + peer.underlay.text();
    } else if (ranges_move()) {  // the ring sees to it that they do not overlap
    } else if (peer.pod_cidr.overlaps(config_.pod_cidr)) {
      why = "its pod range " + peer.pod_cidr.text() + " overlaps this node's " + config_.pod_cidr.text();
    } else if (twin != out.end()) {
      why = "its pod range " + peer.pod_cidr.text() + " overlaps that of " + twin->name;
    }
    if (why.empty()) {
      out.push_back(peer);
    } else {
      report.warnings.push_back("peer " + peer.name + " is left out: " + why);
    }
  }
  return out;
}

// A range that moves between nodes is routed before it leaves the old route, so that its packets always have a way.
Result<void> Datapath::ensure_local_routes(const Link& bridge, const std::vector<Cidr>& local,
                                           ReconcileReport& report) {
  LAB_TRY(auto have, netlink_.routes(bridge.index));
  std::vector<Route> wanted;
  for (const auto& range : local) {
    wanted.push_back({.destination = range.network(), .link = bridge.index, .protocol = kRouteProtocol});
  }
  for (const auto& r : wanted) {
    if (contains(have, r)) continue;
    LAB_CHECK(netlink_.replace_route(r));
    ++report.changes;
  }
  for (const auto& r : have) {
    if (contains(wanted, r) || r.protocol != kRouteProtocol) continue;
    LAB_CHECK(netlink_.delete_route(r));
    ++report.changes;
  }
  return {};
}

// Where ranges move, the peer's own address is the next hop: on this device it is only a name for its MAC.
IpAddress Datapath::next_hop(const Peer& peer) const {
  return ranges_move() ? peer.underlay : vtep_address(peer.pod_cidr);
}

Result<void> Datapath::ensure_peers(const Link& vxlan, const std::vector<Peer>& peers, ReconcileReport& report) {
  std::vector<Neighbour> neighbours;
  std::vector<FdbEntry> entries;
  for (const auto& p : peers) {
    if (config_.encrypted) break;
    entries.push_back({vxlan.index, p.vtep_mac, p.underlay});
    neighbours.push_back({vxlan.index, next_hop(p), p.vtep_mac, true});
  }
  LAB_TRY(auto have_entries, netlink_.fdb(vxlan.index));
  LAB_TRY(auto have_neighbours, netlink_.neighbours(vxlan.index));
  // What is new first, so that a peer that moved is never unreachable for lack of an entry.
  for (const auto& e : entries) {
    if (contains(have_entries, e)) continue;
    // A changed endpoint of the same MAC: appending would keep the old one beside it.
    for (const auto& old : have_entries) {
      if (old.mac == e.mac) LAB_CHECK(netlink_.delete_fdb(old));
    }
    LAB_CHECK(netlink_.replace_fdb(e));
    ++report.changes;
  }
  for (const auto& n : neighbours) {
    if (contains(have_neighbours, n)) continue;
    LAB_CHECK(netlink_.replace_neighbour(n));
    ++report.changes;
  }
  LAB_CHECK(ensure_routes(vxlan, peers, report));
  for (const auto& n : have_neighbours) {
    bool wanted = std::ranges::any_of(neighbours, [&](const auto& w) { return w.address == n.address; });
    if (wanted || !n.permanent) continue;
    LAB_CHECK(netlink_.delete_neighbour(n));
    ++report.changes;
  }
  for (const auto& e : have_entries) {
    bool wanted = std::ranges::any_of(entries, [&](const auto& w) { return w.mac == e.mac; });
    if (wanted) continue;
    LAB_CHECK(netlink_.delete_fdb(e));
    ++report.changes;
  }
  return {};
}

// The device that leads to the peer; null: none, as long as packets would not be encrypted.
const Link* Datapath::way_to(const Peer& peer, const Link& vxlan) const {
  if (wireguard_ && wireguarded_.contains(peer.name)) return &*wireguard_;
  if (config_.encrypted) return sleeve_ ? &*sleeve_ : nullptr;
  return sleeve_ && sleeved_.contains(peer.name) ? &*sleeve_ : &vxlan;
}

// A peer that is moved between the kernel's device and the sleeve's has its route replaced in one step.
Result<void> Datapath::ensure_routes(const Link& vxlan, const std::vector<Peer>& peers, ReconcileReport& report) {
  std::vector<Route> routes;
  for (const auto& p : peers) {
    const Link* way = way_to(p, vxlan);
    if (!way) continue;
    for (const auto& range : ranges_move() ? p.ranges : std::vector{p.pod_cidr}) {
      Route r{.destination = range.network(), .protocol = kRouteProtocol};
      r.link = way->index;
      // One neighbour per peer, whatever the number of its pods, where the device has Ethernet's addresses.
      if (!wireguard_ || way != &*wireguard_) r.gateway = next_hop(p), r.onlink = true;
      routes.push_back(std::move(r));
    }
  }
  LAB_TRY(auto have, netlink_.routes(vxlan.index));
  for (const auto* device : {&sleeve_, &wireguard_}) {
    if (!*device) continue;
    LAB_TRY(auto more, netlink_.routes((*device)->index));
    have.insert(have.end(), more.begin(), more.end());
  }
  for (const auto& r : routes) {
    if (contains(have, r)) continue;
    LAB_CHECK(netlink_.replace_route(r));
    ++report.changes;
  }
  for (const auto& r : have) {
    if (contains(routes, r) || r.destination.address.is_v6()) continue;
    LAB_CHECK(netlink_.delete_route(r));
    ++report.changes;
  }
  return {};
}

Result<void> Datapath::clean_up(const std::string& bridge, const std::string& vxlan) {
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto found, netlink.find_link(bridge));
  if (found) {
    LAB_TRY(auto links, netlink.links());
    for (const auto& port : links) {
      if (port.master == found->index) LAB_CHECK(netlink.delete_link(port.index));
    }
    LAB_CHECK(netlink.delete_link(found->index));
  }
  LAB_CHECK(netlink.delete_link(DatapathConfig{}.wireguard));
  return netlink.delete_link(vxlan);
}

}  // namespace lab::overlay
