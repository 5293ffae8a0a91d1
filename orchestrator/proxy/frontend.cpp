#include "orchestrator/proxy/frontend.h"

#include <algorithm>
#include <optional>
#include <set>

namespace lab::proxy {
namespace {

constexpr int kDefaultAffinitySeconds = 10800;  // as the API defaults sessionAffinityConfig

struct Endpoint {
  Target target;
  bool local = false, ready = false, serving = false;
  bool hinted = false, for_zone = false;  // it says whom it is for; this node's zone is among them
};

// Whose endpoints are taken.
enum class Reach : std::uint8_t { kAll, kZone, kNode };

std::optional<Protocol> protocol_of(std::string_view name) {
  if (name.empty() || name == "TCP") return Protocol::kTcp;
  if (name == "UDP") return Protocol::kUdp;
  if (name == "SCTP") return Protocol::kSctp;
  return std::nullopt;
}

// Port number that a slice gives to the service port of this name and protocol; 0 when it has none.
std::uint16_t slice_port(const json::Value& slice, std::string_view name, Protocol protocol) {
  for (const auto& p : json::list(slice, "ports")) {
    if (json::str(p, "name") == name && protocol_of(json::str(p, "protocol")) == protocol) {
      return static_cast<std::uint16_t>(json::num(p, "port"));
    }
  }
  return 0;
}

std::vector<Endpoint> endpoints_of(const std::vector<const json::Value*>& slices, std::string_view port_name,
                                   Protocol protocol, const std::string& node_name, const std::string& zone) {
  std::vector<Endpoint> out;
  for (const auto* slice : slices) {
    if (json::str(*slice, "addressType") != "IPv4") continue;
    auto port = slice_port(*slice, port_name, protocol);
    if (!port) continue;
    for (const auto& e : json::list(*slice, "endpoints")) {
      const auto& conditions = json::at(e, "conditions");
      // Absent conditions mean yes, absent "serving" means what "ready" says.
      bool ready = json::as_bool(json::at(conditions, "ready"), true);
      bool serving = json::as_bool(json::at(conditions, "serving"), ready);
      const auto& zones = json::list(e, "hints", "forZones");
      bool for_zone =
          !zone.empty() && std::ranges::any_of(zones, [&](const auto& z) { return json::str(z, "name") == zone; });
      for (const auto& a : json::list(e, "addresses")) {
        auto address = IpAddress::parse(json::as_str(a));
        if (!address || !address->is_v4()) continue;
        bool local = json::str(e, "nodeName") == node_name;
        out.push_back({{*address, port}, local, ready, serving, !zones.empty(), for_zone});
      }
    }
  }
  return out;
}

// How near the endpoints are that this node should use. Hints are heeded only when every ready endpoint has one and
// one at least names this zone: else the slices are half written, or there is nobody for us.
Reach reach_of(const std::vector<Endpoint>& endpoints, bool prefer_node) {
  bool all_hinted = true, zone = false, node = false;
  for (const auto& e : endpoints) {
    if (!e.ready) continue;
    all_hinted = all_hinted && e.hinted;
    zone = zone || e.for_zone;
    node = node || e.local;
  }
  if (prefer_node && node) return Reach::kNode;
  return all_hinted && zone ? Reach::kZone : Reach::kAll;
}

// Ready ones; when there is none, those that still serve while they terminate.
std::vector<Target> usable(const std::vector<Endpoint>& endpoints, bool only_local, Reach reach) {
  std::set<Target> ready, serving;
  for (const auto& e : endpoints) {
    if (only_local && !e.local) continue;
    bool near = reach == Reach::kAll || (reach == Reach::kNode ? e.local : e.for_zone);
    if (e.ready && near) ready.insert(e.target);
    if (e.serving) serving.insert(e.target);
  }
  const auto& chosen = ready.empty() ? serving : ready;
  return {chosen.begin(), chosen.end()};
}

// spec.loadBalancerSourceRanges without those that lie inside of another. Empty: everybody may come.
std::vector<Cidr> sources_of(const json::Value& service) {
  std::vector<Cidr> given, out;
  for (const auto& text : json::list(service, "spec", "loadBalancerSourceRanges")) {
    auto range = Cidr::parse(json::as_str(text));
    if (!range || !range->address.is_v4()) continue;
    if (range->prefix == 0) return {};
    given.push_back(range->network());
  }
  for (const auto& one : given) {
    bool inside = std::ranges::any_of(given, [&](const Cidr& c) { return c.prefix < one.prefix && c.overlaps(one); });
    if (!inside && std::ranges::find(out, one) == out.end()) out.push_back(one);
  }
  return out;
}

std::vector<IpAddress> addresses_in(const json::Array& list, std::string_view key = {}) {
  std::vector<IpAddress> out;
  for (const auto& item : list) {
    auto a = IpAddress::parse(key.empty() ? json::as_str(item) : json::str(item, key));
    if (a && a->is_v4() && a->v4_value() && std::ranges::find(out, *a) == out.end()) out.push_back(*a);
  }
  return out;
}

std::vector<IpAddress> cluster_ips_of(const json::Value& service) {
  auto out = addresses_in(json::list(service, "spec", "clusterIPs"));
  if (!out.empty()) return out;
  if (auto one = IpAddress::parse(json::str(service, "spec", "clusterIP")); one && one->is_v4()) out.push_back(*one);
  return out;
}

// Those of a load balancer that is a proxy of its own ("ipMode": "Proxy", KEP-1860) are not ours to serve.
std::vector<IpAddress> balancer_addresses_of(const json::Value& service) {
  json::Array ours;
  for (const auto& ingress : json::list(service, "status", "loadBalancer", "ingress")) {
    if (json::str(ingress, "ipMode") != "Proxy") ours.push_back(ingress);
  }
  return addresses_in(ours, "ip");
}

class Builder {
 public:
  Builder(const json::Value& service, const std::string& node_name, const std::vector<IpAddress>& served_here,
          const std::string& zone)
      : service_(service), node_name_(node_name), served_here_(served_here), zone_(zone) {
    internal_local_ = json::str(service, "spec", "internalTrafficPolicy") == "Local";
    external_local_ = json::str(service, "spec", "externalTrafficPolicy") == "Local";
    if (json::str(service, "spec", "sessionAffinity") == "ClientIP") {
      affinity_ = int(json::num(service, "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"));
      if (affinity_ <= 0) affinity_ = kDefaultAffinitySeconds;
    }
    prefer_node_ = json::str(service, "spec", "trafficDistribution") == "PreferSameNode";
  }

  void add_port(const json::Value& port, const std::vector<const json::Value*>& slices) {
    auto protocol = protocol_of(json::str(port, "protocol"));
    if (!protocol) return;
    auto number = static_cast<std::uint16_t>(json::num(port, "port"));
    auto endpoints = endpoints_of(slices, json::str(port, "name"), *protocol, node_name_, zone_);
    all_ = usable(endpoints, false, reach_of(endpoints, prefer_node_));
    local_ = usable(endpoints, true, Reach::kAll);
    for (const auto& e : endpoints) {
      if (e.local) local_addresses_.insert(e.target.address);
      if (e.local && e.ready) healthy_.insert(e.target.address);
    }
    for (const auto& ip : cluster_ips_of(service_)) {
      if (served_here(ip)) continue;
      cluster_ips_.insert(ip);
      add({Space::kAddress, ip, *protocol, number}, internal_local_, Masquerade::kOutsiders);
    }
    auto balancers = balancer_addresses_of(service_);
    for (const auto& ip : addresses_in(json::list(service_, "spec", "externalIPs"))) {
      if (served_here(ip) || std::ranges::find(balancers, ip) != balancers.end()) continue;
      add_external(Space::kAddress, Space::kAddressInside, ip, *protocol, number);
    }
    auto first = rules_.frontends.size();
    for (const auto& ip : balancers) {
      if (!served_here(ip)) add_external(Space::kAddress, Space::kAddressInside, ip, *protocol, number);
    }
    auto sources = sources_of(service_);
    for (auto i = first; i < rules_.frontends.size(); ++i) {
      if (rules_.frontends[i].key.space == Space::kAddress) rules_.frontends[i].sources = sources;
    }
    if (auto node_port = static_cast<std::uint16_t>(json::num(port, "nodePort"))) {
      add_external(Space::kNodePort, Space::kNodePortInside, {}, *protocol, node_port);
    }
  }

  ServiceRules take() {
    rules_.cluster_ips.assign(cluster_ips_.begin(), cluster_ips_.end());
    rules_.local_targets.assign(local_addresses_.begin(), local_addresses_.end());
    auto check = static_cast<std::uint16_t>(json::num(service_, "spec", "healthCheckNodePort"));
    if (check && external_local_ && json::str(service_, "spec", "type") == "LoadBalancer") {
      rules_.health = HealthCheck{check, int(healthy_.size())};
    }
    return std::move(rules_);
  }

 private:
  bool served_here(const IpAddress& ip) const { return std::ranges::find(served_here_, ip) != served_here_.end(); }

  void add(FrontendKey key, bool only_local, Masquerade masquerade) {
    const auto& targets = only_local ? local_ : all_;
    // Others serve, this node must not: silence makes the client or its load balancer try another node.
    auto when_empty = only_local && !all_.empty() ? WhenEmpty::kDrop : WhenEmpty::kReject;
    rules_.frontends.push_back({key, targets, masquerade, affinity_, when_empty, {}});
  }

  void add_external(Space space, Space inside, IpAddress ip, Protocol protocol, std::uint16_t port) {
    if (!external_local_) return add({space, ip, protocol, port}, false, Masquerade::kAll);
    add({space, ip, protocol, port}, true, Masquerade::kNone);
    rules_.frontends.push_back(
        {{inside, ip, protocol, port}, all_, Masquerade::kOutsiders, affinity_, WhenEmpty::kNothing, {}});
  }

  const json::Value& service_;
  const std::string& node_name_;
  const std::vector<IpAddress>& served_here_;
  const std::string& zone_;
  bool internal_local_ = false, external_local_ = false, prefer_node_ = false;
  int affinity_ = 0;
  std::vector<Target> all_, local_;  // of the port at hand
  std::set<IpAddress> cluster_ips_, local_addresses_, healthy_;
  ServiceRules rules_;
};

}  // namespace

std::string_view text(Protocol p) {
  return p == Protocol::kTcp ? "tcp" : p == Protocol::kUdp ? "udp" : "sctp";
}

ServiceRules rules_of(const json::Value& service, const std::vector<const json::Value*>& slices,
                      const std::string& node_name, const std::vector<IpAddress>& served_here,
                      const std::string& zone) {
  if (json::str(service, "spec", "type") == "ExternalName") return {};
  if (json::str(service, "spec", "clusterIP") == "None") return {};
  // Another proxy was asked for by name.
  if (json::has(service, "metadata", "labels", "service.kubernetes.io/service-proxy-name")) return {};
  Builder builder(service, node_name, served_here, zone);
  for (const auto& port : json::list(service, "spec", "ports")) builder.add_port(port, slices);
  return builder.take();
}

}  // namespace lab::proxy
