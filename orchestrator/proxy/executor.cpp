#include "orchestrator/proxy/executor.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/json.h"
#include "base/netlink/conntrack.h"
#include "base/netlink/netlink.h"
#include "base/netlink/sysctl.h"
#include "orchestrator/proxy/elements.h"
#include "orchestrator/proxy/listing.h"

namespace lab::proxy {
namespace {

// A bridge without ports, which every kernel has; nothing ever leaves through it. (A route through loopback would make
// the kernel unable to refuse connections of the node itself: its answer would need a foreign source address.)
constexpr const char* kDevice = "lab-services";
constexpr std::uint8_t kRouteProtocol = 80;  // who made the route, for people who look

Result<void> ensure_route(const Cidr& cidr) {
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto device, netlink.find_link(kDevice));
  if (!device) {
    LAB_CHECK(netlink.create_bridge({.name = kDevice}));
    LAB_TRY(device, netlink.find_link(kDevice));
    if (!device) return fail(Code::kUnavailable, std::string("device ") + kDevice + " was removed while it was set up");
  }
  std::string ipv6 = std::string("net/ipv6/conf/") + kDevice + "/disable_ipv6";
  if (has_sysctl(ipv6)) LAB_CHECK(set_sysctl(ipv6, "1"));
  if (!device->up) LAB_CHECK(netlink.change_link(device->index, {.up = true}));
  Route wanted{.destination = cidr.network(), .link = device->index, .protocol = kRouteProtocol};
  LAB_TRY(auto routes, netlink.routes(device->index));
  for (const auto& r : routes) {
    if (r == wanted) return {};
    LAB_CHECK(netlink.delete_route(r));
  }
  return netlink.replace_route(wanted);
}

bool concerns(const StaleFlows& s, const ConntrackFlow& f) {
  if (f.destination_port != s.frontend.port) return false;
  bool any_address = s.frontend.address.empty();
  if (!any_address && f.destination != s.frontend.address) return false;
  if (s.gone.contains(Target{f.reply_source, f.reply_source_port})) return true;
  return s.untranslated && f.reply_source == f.destination;
}

}  // namespace

Result<Executor> Executor::open(Cidr service_cidr) {
  LAB_TRY(auto nft, Nft::open());
  return Executor(service_cidr, std::move(nft));
}

Result<void> Executor::prepare() {
  LAB_CHECK(set_sysctl("net/ipv4/ip_forward", "1"));
  // Node ports on 127.0.0.1; chain guard-loopback keeps everybody else from using it.
  LAB_CHECK(set_sysctl("net/ipv4/conf/all/route_localnet", "1"));
  if (service_cidr_.empty()) return {};
  return ensure_route(service_cidr_);
}

Result<void> Executor::run(const std::string& script) {
  if (script.empty()) return {};
  LAB_CHECK(nft_.run(script));
  return {};
}

Result<bool> Executor::table_is_there() {
  LAB_TRY(auto tables, nft_.run("list tables ip"));
  return tables.find(std::string("table ") + kTable) != std::string::npos;
}

Result<std::optional<Listing>> Executor::list() {
  LAB_TRY(auto there, table_is_there());
  if (!there) return std::nullopt;
  Listing out;
  // Not "list table", which lists rules as well: libnftables cannot write all of ours as JSON.
  for (const char* what : {"list sets ip", "list maps ip", "list chains ip"}) {
    LAB_TRY(auto text, nft_.run_json(what));
    LAB_TRY(auto listed, json::parse(text));
    auto part = listing_of(listed);
    out.elements.merge(part.elements);
    out.chains.merge(part.chains);
  }
  return out;
}

Result<void> Executor::forget(const std::vector<StaleFlows>& stale, const std::set<std::string>& sticky_gone) {
  if (!sticky_gone.empty()) {
    LAB_CHECK(forget_clients([&](const RememberedClient& r) {
      return sticky_gone.contains(r.frontend + " : " + r.endpoint) || sticky_gone.contains(r.port + " : " + r.endpoint);
    }));
  }
  if (stale.empty()) return {};
  LAB_CHECK(conntrack_remove(IPPROTO_UDP, [&](const ConntrackFlow& f) {
    return std::ranges::any_of(stale, [&](const StaleFlows& s) { return concerns(s, f); });
  }));
  return {};
}

Result<void> Executor::forget_unserved(const Serving& serving) {
  LAB_CHECK(forget_clients([&](const RememberedClient& r) {
    auto at = serving.find(r.frontend);
    if (at == serving.end()) at = serving.find(r.port);
    return at == serving.end() || !at->second.contains(r.endpoint);
  }));
  LAB_CHECK(conntrack_remove(IPPROTO_UDP, [&](const ConntrackFlow& f) {
    if (!f.destination.is_v4()) return false;
    bool translated = f.reply_source != f.destination || f.reply_source_port != f.destination_port;
    auto at = serving.find(key_text({Space::kAddress, f.destination, Protocol::kUdp, f.destination_port}));
    if (at == serving.end()) at = serving.find(key_text({Space::kNodePort, {}, Protocol::kUdp, f.destination_port}));
    // Translations of other addresses are somebody else's.
    if (at == serving.end()) return translated && service_cidr_.contains(f.destination);
    return translated ? !at->second.contains(target_text({f.reply_source, f.reply_source_port})) : !at->second.empty();
  }));
  return {};
}

Result<void> Executor::forget_clients(const std::function<bool(const RememberedClient&)>& gone) {
  LAB_TRY(auto text, nft_.run_json(std::string("list map ") + kTable + " " + kAffinityMap));
  LAB_TRY(auto listed, json::parse(text));
  std::string script;
  for (const auto& r : remembered_clients(listed)) {
    if (!gone(r)) continue;
    // Added first, since it may have expired since it was listed.
    auto element = std::string(" element ") + kTable + " " + kAffinityMap + " { " + r.client + " . " + r.frontend;
    script += "add" + element + " timeout 1m : " + r.endpoint + " }\ndelete" + element + " : " + r.endpoint + " }\n";
  }
  return run(script);
}

Result<void> Executor::clean_up() {
  LAB_TRY(auto nft, Nft::open());
  // Before the table goes, whose chain guards 127.0.0.1 meanwhile. Forwarding stays on: others may have come to need
  // it.
  LAB_TRY(auto tables, nft.run("list tables ip"));
  if (tables.find(std::string("table ") + kTable) != std::string::npos)
    LAB_CHECK(set_sysctl("net/ipv4/conf/all/route_localnet", "0"));
  LAB_CHECK(nft.delete_table("ip", "lab-proxy"));
  LAB_TRY(auto netlink, Netlink::open());
  return netlink.delete_link(kDevice);
}

}  // namespace lab::proxy
