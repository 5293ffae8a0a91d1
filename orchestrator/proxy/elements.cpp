#include "orchestrator/proxy/elements.h"

namespace lab::proxy {
namespace {

bool by_address(Space s) {
  return s == Space::kAddress || s == Space::kAddressInside;
}
bool inside(Space s) {
  return s == Space::kAddressInside || s == Space::kNodePortInside;
}

std::string lookup_fields(Space s) {
  return by_address(s) ? "ip daddr . meta l4proto . th dport" : "meta l4proto . th dport";
}

std::string verdict_map(Space s) {
  std::string name = by_address(s) ? "services" : "node-ports";
  return inside(s) ? name + "-inside" : name;
}

std::string rule(const std::string& chain, const std::string& text) {
  return "add rule " + std::string(kTable) + " " + chain + " " + text + "\n";
}

// As the kernel lists it: a single address without its length.
std::string cidr_text(const Cidr& cidr) {
  auto text = cidr.network().text();
  if (text.ends_with("/32")) text.resize(text.size() - 3);
  return text;
}

constexpr const char* kMark = "meta mark set meta mark | 0x4000";

}  // namespace

std::string key_text(const FrontendKey& k) {
  std::string rest = std::string(text(k.protocol)) + " . " + std::to_string(k.port);
  return by_address(k.space) ? k.address.text() + " . " + rest : rest;
}

std::string target_text(const Target& t) {
  return t.address.text() + " . " + std::to_string(t.port);
}

std::string endpoint_map(Space s, Protocol protocol) {
  std::string name = by_address(s) ? "service" : "node-port";
  return name + (inside(s) ? "-inside-endpoints-" : "-endpoints-") + std::string(text(protocol));
}

Element slot_element(const FrontendKey& key, std::size_t slot, const Target& target) {
  return {endpoint_map(key.space, key.protocol), key_text(key) + " . " + std::to_string(slot), target_text(target)};
}

std::string chain_name(const Frontend& f) {
  std::string name = by_address(f.key.space) ? "address" : "node-port";
  if (inside(f.key.space)) name += "-inside";
  name += f.masquerade == Masquerade::kOutsiders ? "-pod" : f.masquerade == Masquerade::kAll ? "-any" : "-local";
  if (f.affinity_seconds) name += "-sticky";
  name += "-" + std::string(text(f.key.protocol));
  return name + "-" + std::to_string(f.targets.size());
}

std::vector<Element> frontend_elements(const Frontend& f) {
  std::vector<Element> out;
  auto key = key_text(f.key);
  // A Local frontend stays reachable from inside, through the inside maps, though it has no endpoint here.
  if (!f.targets.empty() || f.masquerade == Masquerade::kNone) {
    out.push_back({verdict_map(f.key.space), key, "goto " + chain_name(f)});
  }
  // The outer frontend of the same address speaks for the inside one.
  if (f.targets.empty() && f.when_empty != WhenEmpty::kNothing && !inside(f.key.space)) {
    out.push_back({by_address(f.key.space) ? "no-endpoints" : "no-endpoints-node-ports", key,
                   f.when_empty == WhenEmpty::kReject ? "goto refuse" : "drop"});
  }
  if (!f.sources.empty()) out.push_back({"restricted", key, ""});
  for (const auto& range : f.sources) out.push_back({"allowed-sources", key + " . " + cidr_text(range), ""});
  if (f.affinity_seconds && !f.targets.empty() && !inside(f.key.space)) {
    out.push_back(
        {by_address(f.key.space) ? "sticky" : "sticky-node-ports", key, "goto " + remember_chain(f.affinity_seconds)});
  }
  return out;
}

std::string chain_script(const Frontend& f) {
  auto name = chain_name(f);
  auto space = f.key.space;
  std::string out = "add chain " + std::string(kTable) + " " + name + "\n";
  if (f.masquerade == Masquerade::kNone) {
    auto there = by_address(space) ? "inside-address" : "inside-node-port";
    out += rule(name, "ip saddr @pod-cidrs goto " + std::string(there));
    out += rule(name, "fib saddr type local goto " + std::string(there));
  }
  if (f.masquerade == Masquerade::kAll) out += rule(name, kMark);
  if (f.masquerade == Masquerade::kOutsiders) out += rule(name, "ip saddr != @pod-cidrs " + std::string(kMark));
  if (f.affinity_seconds) out += rule(name, "dnat ip to ip saddr . ip daddr . meta l4proto . th dport map @affinity");
  auto pick = [&](std::size_t among) {
    out += rule(name, "dnat ip to " + lookup_fields(space) + " . numgen random mod " + std::to_string(among) +
                          " map @" + endpoint_map(space, f.key.protocol));
  };
  if (!f.targets.empty()) pick(f.targets.size());
  // A packet that entered this chain while an endpoint was on its way out may have drawn a slot that is no more, for
  // maps are read as they are now, rules as they were when the packet came. The first slot is always taken.
  if (f.targets.size() > 1) pick(1);
  return out;
}

std::string remember_chain(int seconds) {
  return "remember-" + std::to_string(seconds);
}

std::string remember_script(int seconds) {
  auto name = remember_chain(seconds);
  std::string out = "add chain " + std::string(kTable) + " " + name + "\n";
  for (const char* protocol : {"tcp", "udp", "sctp"}) {
    std::string p(protocol);
    out +=
        rule(name, "meta l4proto " + p +
                       " update @affinity { ct original ip saddr . ct original ip daddr . meta l4proto . ct original "
                       "proto-dst timeout " +
                       std::to_string(seconds) + "s : ip daddr . " + p + " dport }");
  }
  return out;
}

Element pod_cidr_element(const Cidr& cidr) {
  return {"pod-cidrs", cidr_text(cidr), ""};
}

std::string base_script() {
  std::string out = "table " + std::string(kTable) + " {\n";
  out += "  set pod-cidrs { type ipv4_addr; flags interval; auto-merge; }\n";
  for (auto space : {Space::kAddress, Space::kAddressInside, Space::kNodePort, Space::kNodePortInside}) {
    for (auto protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp}) {
      std::string port = std::string(text(protocol)) + " dport";
      out += "  map " + endpoint_map(space, protocol) + " { typeof " + (by_address(space) ? "ip daddr . " : "") +
             "meta l4proto . " + port + " . numgen random mod 2 : ip daddr . " + port + "; }\n";
    }
  }
  out += R"(  set cluster-ips { type ipv4_addr; }
  set hairpin { type ipv4_addr . ipv4_addr; }
  set restricted { type ipv4_addr . inet_proto . inet_service; }
  set allowed-sources { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map services-inside { type ipv4_addr . inet_proto . inet_service : verdict; }
  map node-ports { type inet_proto . inet_service : verdict; }
  map node-ports-inside { type inet_proto . inet_service : verdict; }
  map no-endpoints { type ipv4_addr . inet_proto . inet_service : verdict; }
  map no-endpoints-node-ports { type inet_proto . inet_service : verdict; }
  map sticky { type ipv4_addr . inet_proto . inet_service : verdict; }
  map sticky-node-ports { type inet_proto . inet_service : verdict; }
  map affinity {
    type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
    size 262144
    flags dynamic,timeout
  }
  chain refuse {
    reject
  }
  chain inside-address {
    ip daddr . meta l4proto . th dport vmap @services-inside
  }
  chain inside-node-port {
    meta l4proto . th dport vmap @node-ports-inside
  }
  chain dispatch {
    ip daddr . meta l4proto . th dport vmap @services
    fib daddr type local meta l4proto . th dport vmap @node-ports
  }
  chain sources {
    ip daddr . meta l4proto . th dport . ip saddr @allowed-sources return
    drop
  }
  chain restrict-sources {
    type filter hook prerouting priority -110; policy accept;
    ct state new meta l4proto { tcp, udp, sctp } ip daddr . meta l4proto . th dport @restricted jump sources
  }
  chain restrict-own-sources {
    type filter hook output priority -110; policy accept;
    ct state new meta l4proto { tcp, udp, sctp } ip daddr . meta l4proto . th dport @restricted jump sources
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    meta l4proto { tcp, udp, sctp } jump dispatch
  }
  chain nat-output {
    type nat hook output priority -100; policy accept;
    meta l4proto { tcp, udp, sctp } jump dispatch
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0x4000 jump masquerading
    ip saddr . ip daddr @hairpin masquerade fully-random
  }
  chain masquerading {
    meta mark set meta mark & 0xffffbfff
    oifname "lo" return
    masquerade fully-random
  }
  chain refuse-services {
    meta l4proto { tcp, udp, sctp } ip daddr . meta l4proto . th dport vmap @no-endpoints
    ip daddr @cluster-ips reject
  }
  chain refuse-node-ports {
    meta l4proto { tcp, udp, sctp } ip daddr . meta l4proto . th dport vmap @no-endpoints
    meta l4proto { tcp, udp, sctp } fib daddr type local meta l4proto . th dport vmap @no-endpoints-node-ports
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state new jump refuse-services
  }
  chain output {
    type filter hook output priority filter; policy accept;
    ct state new jump refuse-services
  }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state new jump refuse-node-ports
    ct state new ct status dnat jump remember
  }
  chain remember-leaving {
    type filter hook postrouting priority 90; policy accept;
    ct state new ct status dnat jump remember
  }
  chain remember {
    meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst vmap @sticky
    meta l4proto udp ct original ip daddr . meta l4proto . ct original proto-dst vmap @sticky
    meta l4proto sctp ct original ip daddr . meta l4proto . ct original proto-dst vmap @sticky
    meta l4proto tcp meta l4proto . ct original proto-dst vmap @sticky-node-ports
    meta l4proto udp meta l4proto . ct original proto-dst vmap @sticky-node-ports
    meta l4proto sctp meta l4proto . ct original proto-dst vmap @sticky-node-ports
  }
  chain guard-loopback {
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
    iifname != "lo" ip saddr 127.0.0.0/8 drop
  }
}
)";
  return out;
}

}  // namespace lab::proxy
