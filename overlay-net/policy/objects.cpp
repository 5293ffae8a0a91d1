#include "overlay-net/policy/objects.h"

#include <algorithm>

namespace lab::overlay::policy {
namespace {

struct ProtocolRow {
  Protocol number;
  std::string_view upper, lower;
};
constexpr ProtocolRow kProtocols[] = {{IPPROTO_TCP, "TCP", "tcp"},
                                      {IPPROTO_UDP, "UDP", "udp"},
                                      {IPPROTO_SCTP, "SCTP", "sctp"},
                                      {IPPROTO_ICMP, "ICMP", "icmp"}};

std::optional<Port> port_from(const json::Value& v, std::vector<std::string>& problems) {
  Port out;
  if (auto name = json::str(v, "protocol"); !name.empty()) {
    auto protocol = protocol_from(name);
    if (!protocol) {
      problems.push_back("protocol " + std::string(name) + " is none of TCP, UDP and SCTP");
      return std::nullopt;
    }
    out.protocol = *protocol;
  }
  const auto& port = json::at(v, "port");
  if (port.is_null()) return out;
  if (port.is_string()) {
    out.name = json::as_str(port);
    return out;
  }
  auto first = json::as_int(port), last = json::num(v, "endPort");
  if (last == 0) last = first;
  if (first < 1 || last > 65535 || last < first) {
    problems.push_back("ports " + std::to_string(first) + "-" + std::to_string(last) + " are no range of ports");
    return std::nullopt;
  }
  out.first = static_cast<std::uint16_t>(first);
  out.last = static_cast<std::uint16_t>(last);
  return out;
}

std::optional<api::LabelSelector> selector_from(const json::Value& v, Peer& peer, std::vector<std::string>& problems) {
  if (v.is_null()) return std::nullopt;
  auto selector = api::LabelSelector::from_object(v);
  if (selector) return *selector;
  problems.push_back(selector.error().message);
  peer.nothing = true;
  return std::nullopt;
}

Peer peer_from(const json::Value& v, const std::string& ns, std::vector<std::string>& problems) {
  Peer out{.ns = ns};
  if (json::has(v, "ipBlock")) {
    IpBlock block;
    std::string cidr(json::str(v, "ipBlock", "cidr"));
    auto parsed = Cidr::parse(cidr);
    if (!parsed) {
      problems.push_back("'" + cidr + "' is no range of addresses");
      out.nothing = true;
      return out;
    }
    block.cidr = parsed->network();
    for (const auto& e : json::list(v, "ipBlock", "except")) {
      auto except = Cidr::parse(json::as_str(e));
      if (!except) {
        // An exception that cannot be read might be what keeps somebody out.
        problems.push_back("'" + std::string(json::as_str(e)) + "' is no range of addresses");
        out.nothing = true;
        return out;
      }
      block.except.push_back(except->network());
    }
    out.block = std::move(block);
    return out;
  }
  out.namespaces = selector_from(json::at(v, "namespaceSelector"), out, problems);
  out.pods = selector_from(json::at(v, "podSelector"), out, problems);
  if (!out.namespaces && !out.pods && !out.nothing) {
    problems.push_back("a peer without podSelector, namespaceSelector and ipBlock");
    out.nothing = true;
  }
  return out;
}

std::vector<Rule> rules_from(const json::Array& list, const char* peers, const std::string& ns,
                             std::vector<std::string>& problems) {
  std::vector<Rule> out;
  for (const auto& v : list) {
    Rule rule;
    for (const auto& p : json::list(v, peers)) rule.peers.push_back(peer_from(p, ns, problems));
    bool unreadable = false;
    for (const auto& p : json::list(v, "ports")) {
      if (auto port = port_from(p, problems)) {
        rule.ports.push_back(std::move(*port));
      } else {
        unreadable = true;
      }
    }
    // A rule whose only ports are unreadable must not become one that allows every port.
    if (unreadable && rule.ports.empty()) rule.peers.assign(1, Peer{.ns = ns, .nothing = true});
    out.push_back(std::move(rule));
  }
  return out;
}

void add_ports(const json::Array& containers, bool sidecars_only, std::vector<NamedPort>& out) {
  for (const auto& c : containers) {
    if (sidecars_only && json::str(c, "restartPolicy") != "Always") continue;
    for (const auto& p : json::list(c, "ports")) {
      auto name = json::str(p, "name");
      auto protocol = protocol_from(json::has(p, "protocol") ? json::str(p, "protocol") : "TCP");
      auto number = json::num(p, "containerPort");
      if (name.empty() || !protocol || number < 1 || number > 65535) continue;
      out.push_back({std::string(name), *protocol, static_cast<std::uint16_t>(number)});
    }
  }
}

}  // namespace

std::string_view text(Direction d) {
  return d == Direction::kIngress ? "ingress" : "egress";
}

std::string protocol_text(Protocol p) {
  for (const auto& row : kProtocols) {
    if (row.number == p) return std::string(row.lower);
  }
  return "protocol " + std::to_string(p);
}

std::optional<Protocol> protocol_from(std::string_view name) {
  for (const auto& row : kProtocols) {
    if (row.number != IPPROTO_ICMP && (row.upper == name || row.lower == name)) return row.number;
  }
  return std::nullopt;
}

std::string Peer::text() const {
  if (nothing) return "nobody";
  if (block) {
    std::string out = block->cidr.text();
    for (std::size_t i = 0; i < block->except.size(); ++i) out += (i ? ", " : " except ") + block->except[i].text();
    return out;
  }
  auto selected = [](const api::LabelSelector& s) { return " " + s.text(); };
  std::string out = pods && !pods->empty() ? "pods" + selected(*pods) : "all pods";
  if (!namespaces) return out + " in namespace " + ns;
  return out + (namespaces->empty() ? " in all namespaces" : " in namespaces" + selected(*namespaces));
}

Policy policy_from(const json::Value& object) {
  Policy out;
  out.ns = json::str(object, "metadata", "namespace");
  out.name = json::str(object, "metadata", "name");
  const auto& spec = json::at(object, "spec");
  const auto& pods = json::at(spec, "podSelector");
  auto selector = api::LabelSelector::from_object(pods.is_null() ? json::Value(json::Object{}) : pods);
  if (selector) {
    out.pods = *selector;
  } else {
    out.problems.push_back(selector.error().message);
    out.pods = api::LabelSelector::from_map({});
  }
  out.ingress_rules = rules_from(json::list(spec, "ingress"), "from", out.ns, out.problems);
  out.egress_rules = rules_from(json::list(spec, "egress"), "to", out.ns, out.problems);
  const auto& types = json::list(spec, "policyTypes");
  auto has = [&](std::string_view type) {
    return std::ranges::any_of(types, [&](const json::Value& t) { return json::as_str(t) == type; });
  };
  out.ingress = types.empty() || has("Ingress");
  out.egress = types.empty() ? !out.egress_rules.empty() : has("Egress");
  return out;
}

Pod pod_from(const json::Value& object) {
  Pod out;
  out.ns = json::str(object, "metadata", "namespace");
  out.name = json::str(object, "metadata", "name");
  out.labels = json::map(object, "metadata", "labels");
  out.created = json::str(object, "metadata", "creationTimestamp");
  out.node = json::str(object, "spec", "nodeName");
  out.node_address = IpAddress::parse(json::str(object, "status", "hostIP")).value_or(IpAddress());
  out.host_network = json::flag(object, "spec", "hostNetwork");
  add_ports(json::list(object, "spec", "containers"), false, out.ports);
  add_ports(json::list(object, "spec", "initContainers"), true, out.ports);
  auto phase = json::str(object, "status", "phase");
  // The address of a pod that has ended may already be another's.
  if (out.host_network || phase == "Succeeded" || phase == "Failed") return out;
  auto add = [&](std::string_view text) {
    auto address = IpAddress::parse(text);
    if (!address || !address->is_v4() || std::ranges::find(out.addresses, *address) != out.addresses.end()) return;
    out.addresses.push_back(*address);
  };
  add(json::str(object, "status", "podIP"));
  for (const auto& ip : json::list(object, "status", "podIPs")) add(json::str(ip, "ip"));
  return out;
}

void shrink_pod(json::Value& object) {
  json::Object spec, status;
  for (const char* key : {"nodeName", "hostNetwork"}) {
    if (json::has(object, "spec", key)) spec[key] = json::at(object, "spec", key);
  }
  for (const char* key : {"containers", "initContainers"}) {
    json::Array kept;
    for (const auto& c : json::list(object, "spec", key)) {
      if (json::list(c, "ports").empty()) continue;
      kept.push_back(json::Object{{"ports", json::list(c, "ports")}, {"restartPolicy", json::str(c, "restartPolicy")}});
    }
    if (!kept.empty()) spec[key] = std::move(kept);
  }
  for (const char* key : {"podIP", "podIPs", "hostIP", "phase"}) {
    if (json::has(object, "status", key)) status[key] = json::at(object, "status", key);
  }
  json::erase(object, "metadata", "annotations");
  json::erase(object, "metadata", "ownerReferences");
  json::set(object, std::move(spec), "spec");
  json::set(object, std::move(status), "status");
}

}  // namespace lab::overlay::policy
