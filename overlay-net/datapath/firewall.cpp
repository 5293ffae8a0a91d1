#include "overlay-net/datapath/firewall.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/nft/nft.h"
#include "overlay-net/flow_cache/limits.h"

namespace lab::overlay {
namespace {

constexpr const char* kTable = "ip lab-overlay";

std::string elements(const std::string& set, const std::set<std::string>& items) {
  if (items.empty()) return {};
  std::string out = "add element " + std::string(kTable) + " " + set + " { ";
  bool first = true;
  for (const auto& item : items) {
    out += (first ? "" : ", ") + item;
    first = false;
  }
  return out + " }\n";
}

// Ranges of which none lies inside another, as an interval set wants them.
std::set<std::string> disjoint(std::vector<Cidr> cidrs) {
  std::ranges::sort(cidrs, {}, &Cidr::prefix);
  std::vector<Cidr> kept;
  for (const auto& c : cidrs) {
    if (std::ranges::none_of(kept, [&](const Cidr& k) { return k.overlaps(c); })) kept.push_back(c.network());
  }
  std::set<std::string> out;
  for (const auto& c : kept) out.insert(c.text());
  return out;
}

}  // namespace

std::string firewall_script(const FirewallState& s) {
  std::string table(kTable);
  std::string own = s.pod_cidr.network().text();
  std::string out = "add table " + table + "\ndelete table " + table + "\ntable " + table + " {\n";
  out +=
      "  set pod-cidrs { type ipv4_addr; flags interval; }\n"
      "  set hairpin { type ipv4_addr . ipv4_addr; }\n"
      "  map host-ports { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
      "  map host-ip-ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }\n"
      "  chain host-ports {\n"
      "    dnat ip to ip daddr . meta l4proto . th dport map @host-ip-ports\n"
      "    dnat ip to meta l4proto . th dport map @host-ports\n"
      "  }\n"
      "  chain prerouting {\n"
      "    type nat hook prerouting priority dstnat; policy accept;\n"
      "    fib daddr type local meta l4proto { tcp, udp, sctp } jump host-ports\n"
      "  }\n"
      "  chain output {\n"
      "    type nat hook output priority -100; policy accept;\n"
      "    fib daddr type local meta l4proto { tcp, udp, sctp } jump host-ports\n"
      "  }\n"
      "  chain postrouting {\n"
      "    type nat hook postrouting priority srcnat; policy accept;\n";
  // A pod that comes back to itself through its host port, and the node's loopback clients, must see answers return.
  out += "    ip saddr . ip daddr @hairpin masquerade\n";
  out += "    ip saddr 127.0.0.0/8 oifname \"" + s.bridge + "\" masquerade\n";
  out += "    ip saddr " + own + " ip daddr != 224.0.0.0/4 ip daddr != @pod-cidrs masquerade\n";
  out += "  }\n";
  if (!s.underlay.empty() && s.tunnel_port) {
    const std::string tunnel = s.underlay.text() + " udp dport " + std::to_string(s.tunnel_port) + " notrack\n  }\n";
    out += "  chain untracked-in {\n    type filter hook prerouting priority raw; policy accept;\n    ip daddr " +
           tunnel + "  chain untracked-out {\n    type filter hook output priority raw; policy accept;\n    ip saddr " +
           tunnel;
  }
  if (s.marks_established) {
    // After the chains that NetworkPolicies and Services have there. What none of them dropped may take the short way.
    out +=
        "  chain established {\n    type filter hook forward priority 10; policy accept;\n"
        "    ct state established ct status & (snat | dnat) == 0 meta mark set meta mark | " +
        std::to_string(LAB_ESTABLISHED_MARK) + "\n  }\n";
  }
  if (!s.only_through.empty()) {
    std::string ways = "{ \"lo\", \"" + s.bridge + "\"";
    for (const auto& device : s.only_through) ways += ", \"" + device + "\"";
    ways += " } drop\n";
    out +=
        "  chain only-out {\n    type filter hook postrouting priority 0; policy accept;\n"
        "    ip daddr @pod-cidrs oifname != " +
        ways + "  }\n";
    out +=
        "  chain only-in {\n    type filter hook prerouting priority -310; policy accept;\n"
        "    ip saddr @pod-cidrs iifname != " +
        ways + "  }\n";
  }
  out += "}\n";

  auto cidrs = s.cluster_cidrs;
  cidrs.push_back(s.pod_cidr);
  out += elements("pod-cidrs", disjoint(std::move(cidrs)));
  std::set<std::string> anywhere, addressed, hairpin, taken;
  for (const auto& p : s.host_ports) {
    std::string key = p.protocol + " . " + std::to_string(p.host_port);
    std::string target = p.pod_ip.text() + " . " + std::to_string(p.pod_port);
    bool any = p.host_ip.empty() || p.host_ip == IpAddress::v4(0);
    if (!any) key = p.host_ip.text() + " . " + key;
    // The first who asked has the port; a second claim would make the whole table be refused.
    if (!taken.insert(key).second) continue;
    (any ? anywhere : addressed).insert(key + " : " + target);
    hairpin.insert(p.pod_ip.text() + " . " + p.pod_ip.text());
  }
  out += elements("host-ports", anywhere);
  out += elements("host-ip-ports", addressed);
  out += elements("hairpin", hairpin);
  return out;
}

Result<void> apply_firewall(const FirewallState& state) {
  LAB_TRY(auto nft, Nft::open());
  LAB_CHECK(nft.run(firewall_script(state)));
  return {};
}

Result<void> remove_firewall() {
  LAB_TRY(auto nft, Nft::open());
  return nft.delete_table("ip", "lab-overlay");
}

}  // namespace lab::overlay
