#include "cli/net_probe.h"

#include "base/fs.h"
#include "base/netlink/address.h"
#include "base/netlink/netlink.h"
#include "base/subprocess.h"
#include "bootstrap/common/node_services.h"
#include "overlay-net/cni/agent_call.h"
#include "overlay-net/cni/protocol.h"
#include "overlay-net/status/dns_probe.h"
#include "overlay-net/status/reach.h"

namespace lab::cli {

namespace {

using std::chrono::milliseconds;

constexpr const char* kSpace = "/run/lab/net-test";
constexpr const char* kContainer = "lab-net-test";
constexpr milliseconds kLimit{1500};

Result<json::Value> call_plugin(const std::string& command) {
  LAB_TRY(auto node, bootstrap::read_node_record());
  auto config = json::Object{
      {"cniVersion", "1.0.0"}, {"name", "lab"}, {"type", "lab-cni"}, {"agentSocket", overlay::kAgentSocket}};
  LAB_TRY(auto done, run({.argv = {fs::join(node.runtime.cni_bin_directory, "lab-cni")},
                          .env = {{"CNI_COMMAND", command},
                                  {"CNI_CONTAINERID", kContainer},
                                  {"CNI_NETNS", kSpace},
                                  {"CNI_IFNAME", "eth0"},
                                  {"CNI_PATH", node.runtime.cni_bin_directory}},
                          .stdin_text = json::dump(config),
                          .timeout = std::chrono::seconds(20)}));
  auto answer = json::parse(done.out.empty() ? "{}" : done.out);
  if (done.ok() && answer) return answer;
  auto why = answer ? std::string(json::str(*answer, "msg")) : done.err;
  return fail(Code::kUnavailable, "the network plugin could not wire a pod: " + why,
              "see: lab net status, lab logs lab-overlay");
}

json::Object outcome(const Result<std::chrono::microseconds>& r) {
  if (r) return {{"microseconds", r->count()}};
  return {{"reason", r.error().text()}};
}

// A pod that does not answer: is it its node, the agent, or what lies between?
std::string why_silent(const ProbeTarget& t, const json::Value& report) {
  if (auto node = overlay::ping(t.node_address, 84, kLimit); !node) {
    return "the nodes do not reach each other: " + node.error().text();
  }
  auto pod = IpAddress::parse(t.pod_address).value_or(IpAddress());
  for (const auto& p : json::list(report, "peers")) {
    auto range = Cidr::parse(json::str(p, "podCIDR"));
    if (range && range->contains(pod)) {
      return "node " + t.node + " answers, its pods do not: is UDP port " + std::to_string(json::num(report, "port")) +
             " let through between the nodes?";
    }
  }
  return "this node's agent knows no way to " + t.pod_address + ": see lab net status connections";
}

json::Object try_pod(const ProbeTarget& t, const NetNs& space, unsigned mtu, const json::Value& report) {
  json::Object out{{"node", t.node}, {"address", t.pod_address}};
  auto small = in_netns(space, [&] { return overlay::ping(t.pod_address, 84, kLimit); });
  if (!small) {
    out["reason"] = why_silent(t, report);
    return out;
  }
  out["microseconds"] = small->count();
  auto full = in_netns(space, [&] { return overlay::ping(t.pod_address, mtu, kLimit); });
  out["fullMTU"] = full.has_value();
  if (!full) {
    out["reason"] = "packets of " + std::to_string(mtu) +
                    " bytes do not pass, small ones do: the network between the nodes carries less than "
                    "its devices say";
  }
  return out;
}

}  // namespace

Result<void> probe_down() {
  if (fs::exists(kSpace)) {
    LAB_TRY(auto removed, call_plugin("DEL"));
  }
  return NetNs::remove(kSpace);
}

Result<json::Value> probe_up() {
  LAB_CHECK(probe_down());
  LAB_CHECK(fs::make_dirs("/run/lab"));
  LAB_TRY(auto space, NetNs::create(kSpace));
  auto wired = call_plugin("ADD");
  if (!wired) {
    // As a runtime does after an ADD that failed (CNI 1.0.0, section 3): one that was cut off may hold an address.
    (void)call_plugin("DEL");
    (void)NetNs::remove(kSpace);
    return std::unexpected(std::move(wired).error());
  }
  LAB_TRY(auto report, overlay::call_agent(overlay::kAgentSocket, "GET", "/v1/status", ""));
  const auto& ips = json::list(*wired, "ips");
  std::string address(ips.empty() ? "" : json::str(ips[0], "address"));
  return json::Object{{"address", address.substr(0, address.find('/'))},
                      {"mtu", json::num(report, "mtu")},
                      {"nodeAddress", json::str(report, "address")}};
}

Result<json::Value> probe_run(const std::vector<ProbeTarget>& targets) {
  LAB_TRY(auto node, bootstrap::read_node_record());
  LAB_TRY(auto space, NetNs::open(kSpace));
  LAB_TRY(auto report, overlay::call_agent(overlay::kAgentSocket, "GET", "/v1/status", ""));
  const auto mtu = static_cast<unsigned>(json::num(report, "mtu"));
  json::Array pods;
  for (const auto& t : targets) pods.push_back(try_pod(t, space, mtu, report));
  const auto name = "kubernetes.default.svc." + node.dns_domain;
  auto answer = in_netns(space, [&] { return overlay::ask_dns(node.dns_address, name, kLimit); });
  json::Object dns, service;
  if (!answer) {
    dns["reason"] = answer.error().text();
  } else if (answer->addresses.empty()) {
    dns["reason"] = node.dns_address + " does not know " + name + ": does it reach the API server?";
  } else {
    dns["microseconds"] = answer->took.count();
  }
  // Without a name there is still the address that the first service always has.
  auto range = Cidr::parse(node.service_cidr);
  std::string address = answer && !answer->addresses.empty() ? answer->addresses[0] : range ? range->at(1).text() : "";
  service = outcome(in_netns(space, [&] { return overlay::tcp_connect(address, 443, kLimit); }));
  return json::Object{{"pods", std::move(pods)}, {"dns", std::move(dns)}, {"service", std::move(service)}};
}

// The kernel's own answer for device and source; then what stands behind the gateway on a vxlan device.
Result<json::Value> probe_hops(const std::string& address) {
  auto to = IpAddress::parse(address);
  if (!to || !to->is_v4()) return fail(Code::kBadRequest, "\"" + address + "\" is no IPv4 address");
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto taken, netlink.route_to(*to));
  LAB_TRY(auto link, netlink.link(taken.link));
  json::Object out{{"device", link.name}, {"mtu", link.mtu}};
  LAB_TRY(auto routes, netlink.routes(link.index));
  const Route* best = nullptr;
  for (const auto& r : routes) {
    if (r.destination.contains(*to) && (!best || r.destination.prefix > best->destination.prefix)) best = &r;
  }
  if (!best) return out;
  out["destination"] = best->destination.text();
  if (best->gateway.empty()) return out;
  out["gateway"] = best->gateway.text();
  LAB_TRY(auto neighbours, netlink.neighbours(link.index));
  LAB_TRY(auto entries, netlink.fdb(link.index));
  for (const auto& n : neighbours) {
    if (n.address != best->gateway) continue;
    out["mac"] = n.mac.text();
    for (const auto& e : entries) {
      if (e.mac == n.mac) out["remote"] = e.remote.text();
    }
  }
  return out;
}

}  // namespace lab::cli
