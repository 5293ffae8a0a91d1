#include "overlay-net/cni/protocol.h"

namespace lab::overlay {

json::Value to_json(const PodRequest& r) {
  json::Array ports;
  for (const auto& p : r.ports) {
    ports.push_back(json::Object{{"protocol", p.protocol},
                                 {"hostPort", p.host_port},
                                 {"containerPort", p.container_port},
                                 {"hostIP", p.host_ip}});
  }
  return json::Object{{"containerID", r.container_id}, {"ifname", r.ifname}, {"netns", r.netns},
                      {"namespace", r.pod_namespace},  {"pod", r.pod_name},  {"portMappings", std::move(ports)}};
}

json::Value to_json(const PodNetwork& n) {
  return json::Object{
      {"address", n.address.text()}, {"gateway", n.gateway.text()}, {"bridge", n.bridge}, {"mtu", n.mtu}};
}

Result<PodRequest> pod_request_from(const json::Value& v) {
  PodRequest out{std::string(json::str(v, "containerID")), std::string(json::str(v, "ifname")),
                 std::string(json::str(v, "netns")), std::string(json::str(v, "namespace")),
                 std::string(json::str(v, "pod"))};
  if (out.container_id.empty() || out.ifname.empty()) {
    return fail(Code::kBadRequest, "a pod request needs containerID and ifname");
  }
  for (const auto& p : json::list(v, "portMappings")) {
    PortMapping m{std::string(json::str(p, "protocol")), int(json::num(p, "hostPort")),
                  int(json::num(p, "containerPort")), std::string(json::str(p, "hostIP"))};
    if (m.protocol != "tcp" && m.protocol != "udp" && m.protocol != "sctp") {
      return fail(Code::kBadRequest, "port mapping of unknown protocol '" + m.protocol + "'");
    }
    if (m.host_port < 1 || m.host_port > 65535 || m.container_port < 1 || m.container_port > 65535) {
      return fail(Code::kBadRequest, "port mapping outside of 1 to 65535");
    }
    if (!m.host_ip.empty() && !IpAddress::parse(m.host_ip)) {
      return fail(Code::kBadRequest, "port mapping with the unreadable host address '" + m.host_ip + "'");
    }
    out.ports.push_back(std::move(m));
  }
  return out;
}

Result<PodNetwork> pod_network_from(const json::Value& v) {
  auto address = Cidr::parse(json::str(v, "address"));
  auto gateway = IpAddress::parse(json::str(v, "gateway"));
  PodNetwork out;
  out.bridge = json::str(v, "bridge");
  out.mtu = static_cast<unsigned>(json::num(v, "mtu"));
  if (!address || !gateway || out.bridge.empty()) {
    return fail(Code::kInternal, "the overlay agent's answer is not understood: " + json::dump(v));
  }
  out.address = *address;
  out.gateway = *gateway;
  return out;
}

}  // namespace lab::overlay
