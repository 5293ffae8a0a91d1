// Printers of Services, EndpointSlices, Ingresses and NetworkPolicies.
#include <algorithm>
#include <set>

#include "orchestrator/api/printers.h"

namespace lab::api::printers {
namespace {

using json::Array;
using json::Value;

std::string external_ip(const Value& s) {
  std::string_view type = json::str(s, "spec", "type");
  std::vector<std::string> out;
  if (type == "ExternalName") return std::string(json::str(s, "spec", "externalName"));
  if (type == "LoadBalancer")
    for (const auto& i : json::list(s, "status", "loadBalancer", "ingress"))
      out.emplace_back(or_none(json::str(i, "ip"), json::str(i, "hostname")));
  for (const auto& ip : json::list(s, "spec", "externalIPs")) out.emplace_back(json::as_str(ip));
  if (!out.empty()) return join(out);
  return type == "LoadBalancer" ? "<pending>" : "<none>";
}

std::string service_ports(const Value& s) {
  std::vector<std::string> out;
  for (const auto& p : json::list(s, "spec", "ports")) {
    std::string text = std::to_string(json::num(p, "port"));
    if (auto node_port = json::num(p, "nodePort")) text += ":" + std::to_string(node_port);
    out.push_back(text + "/" + std::string(json::str(p, "protocol")));
  }
  return or_none(join(out));
}

Array service_cells(const Value& s, WallTime now) {
  const auto& ips = json::list(s, "spec", "clusterIPs");
  std::string_view ip = ips.empty() ? json::str(s, "spec", "clusterIP") : json::as_str(ips[0]);
  Array cells;
  cells.emplace_back(json::str(s, "spec", "type"));
  cells.emplace_back(or_none(ip));
  cells.emplace_back(external_ip(s));
  cells.emplace_back(service_ports(s));
  cells.emplace_back(age(s, now));
  cells.emplace_back(format_labels(json::map(s, "spec", "selector")));
  return cells;
}

Array slice_cells(const Value& s, WallTime now) {
  constexpr std::size_t kMax = 3;
  std::vector<std::string> ports, shown;
  std::size_t port_count = 0, count = 0;
  for (const auto& p : json::list(s, "ports")) {
    if (++port_count > kMax) continue;
    ports.push_back(json::has(p, "port") ? std::to_string(json::num(p, "port")) : or_none(json::str(p, "name"), "*"));
  }
  for (const auto& e : json::list(s, "endpoints"))
    for (const auto& a : json::list(e, "addresses"))
      if (++count <= kMax) shown.emplace_back(json::as_str(a));
  auto more = [](std::string text, std::size_t n) {
    return n > kMax ? text + " + " + std::to_string(n - kMax) + " more..." : text;
  };
  Array cells;
  cells.emplace_back(json::str(s, "addressType"));
  cells.emplace_back(port_count == 0 ? "<unset>" : more(join(ports), port_count));
  cells.emplace_back(count == 0 ? "<unset>" : more(join(shown), count));
  cells.emplace_back(age(s, now));
  return cells;
}

Array ingress_cells(const Value& i, WallTime now) {
  constexpr std::size_t kMax = 3;
  std::vector<std::string> hosts, addresses;
  std::size_t count = 0;
  for (const auto& r : json::list(i, "spec", "rules"))
    if (std::string_view host = json::str(r, "host"); !host.empty() && ++count <= kMax) hosts.emplace_back(host);
  for (const auto& a : json::list(i, "status", "loadBalancer", "ingress"))
    addresses.emplace_back(or_none(json::str(a, "ip"), json::str(a, "hostname")));
  std::string host_text = count == 0 ? "*" : join(hosts);
  if (count > kMax) host_text += " + " + std::to_string(count - kMax) + " more...";
  std::string_view name = json::str(i, "spec", "ingressClassName");
  if (name.empty()) name = json::str(i, "metadata", "annotations", "kubernetes.io/ingress.class");
  Array cells;
  cells.emplace_back(or_none(name));
  cells.emplace_back(host_text);
  cells.emplace_back(join(addresses));
  cells.emplace_back(json::list(i, "spec", "tls").empty() ? "80" : "80, 443");
  cells.emplace_back(age(i, now));
  return cells;
}

Array ingressclass_cells(const Value& c, WallTime now) {
  std::string parameters = "<none>";
  if (const Value& p = json::at(c, "spec", "parameters"); p.is_object()) {
    std::string_view group = json::str(p, "apiGroup");
    parameters = std::string(json::str(p, "kind")) + (group.empty() ? "" : "." + std::string(group)) + "/" +
                 std::string(json::str(p, "name"));
  }
  return Array{Value(json::str(c, "spec", "controller")), Value(parameters), Value(age(c, now))};
}

Array netpol_cells(const Value& n, WallTime now) {
  return Array{Value(format_selector(json::at(n, "spec", "podSelector"))), Value(age(n, now))};
}

Array ipaddress_cells(const Value& a, WallTime now) {
  const Value& parent = json::at(a, "spec", "parentRef");
  std::string text(json::str(parent, "resource"));
  if (auto group = json::str(parent, "group"); !group.empty()) text += "." + std::string(group);
  for (const char* key : {"namespace", "name"})
    if (auto part = json::str(parent, key); !part.empty()) text += "/" + std::string(part);
  return Array{Value(text), Value(age(a, now))};
}

Array servicecidr_cells(const Value& c, WallTime now) {
  std::vector<std::string> cidrs;
  for (const auto& cidr : json::list(c, "spec", "cidrs")) cidrs.emplace_back(json::as_str(cidr));
  return Array{Value(join(cidrs)), Value(age(c, now))};
}

}  // namespace

std::vector<Printer> network_printers() {
  return {
      {"", "Service", {"Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector:string*"}, service_cells},
      {"discovery.k8s.io", "EndpointSlice", {"AddressType", "Ports", "Endpoints", "Age"}, slice_cells},
      {"networking.k8s.io", "Ingress", {"Class", "Hosts", "Address", "Ports", "Age"}, ingress_cells},
      {"networking.k8s.io", "IngressClass", {"Controller", "Parameters", "Age"}, ingressclass_cells},
      {"networking.k8s.io", "NetworkPolicy", {"Pod-Selector", "Age"}, netpol_cells},
      {"networking.k8s.io", "IPAddress", {"ParentRef", "Age"}, ipaddress_cells},
      {"networking.k8s.io", "ServiceCIDR", {"CIDRs", "Age"}, servicecidr_cells},
  };
}

}  // namespace lab::api::printers
