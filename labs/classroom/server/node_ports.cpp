#include "labs/classroom/server/node_ports.h"

#include <algorithm>
#include <cctype>

namespace lab::classroom {

namespace {

constexpr std::size_t kMostPorts = 50;  // of which a page makes a list

// Characters of a host name or address; anything else is no Host that a link may hold.
bool is_host(std::string_view host) {
  return !host.empty() && std::ranges::all_of(host, [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
}

std::string_view without_port(std::string_view field) {
  const auto colon = field.rfind(':');
  return colon == field.npos || field.ends_with(']') ? field : field.substr(0, colon);
}

}  // namespace

std::vector<exercises::Check> with_services(std::vector<exercises::Check> checks) {
  exercises::Check services;
  services.object = exercises::ObjectCheck{};
  services.object->api_version = "v1";
  services.object->kind = "Service";
  services.object->name_space = "*";
  checks.push_back(std::move(services));
  return checks;
}

json::Value port_link(const std::string& student, const std::string& node, std::int64_t port,
                      const std::string& service, int ports_port) {
  return json::Object{{"node", node},
                      {"port", port},
                      {"service", service},
                      {"url", std::string(kAnyHost) + ":" + std::to_string(ports_port) + "/" + student + "/" + node +
                                  "/" + std::to_string(port) + "/"}};
}

json::Array ports_of(const json::Value& services, const std::string& node, const std::string& student, int ports_port) {
  json::Array out;
  for (const auto& service : json::list(services, "items")) {
    const std::string name = std::string(json::str(service, "metadata", "namespace")) + "/" +
                             std::string(json::str(service, "metadata", "name"));
    for (const auto& port : json::list(service, "spec", "ports")) {
      const auto number = json::num(port, "nodePort");
      const auto protocol = json::str(port, "protocol");
      if (number <= 0 || (protocol != "TCP" && !protocol.empty()) || out.size() >= kMostPorts) continue;
      out.push_back(port_link(student, node, number, name, ports_port));
    }
  }
  return out;
}

Result<json::Array> node_ports(exercises::Evaluator& lab, const std::string& student, int ports_port) {
  LAB_TRY(auto* cluster, lab.cluster());
  LAB_TRY(auto services, cluster->list(client::res::services));
  LAB_TRY(auto states, lab.driver().list());
  // Every node answers on a NodePort; the first that runs stands for them.
  for (const auto& node : lab.profile().nodes)
    for (const auto& state : states)
      if (state.spec.name == node.name && state.running) return ports_of(services, node.name, student, ports_port);
  return json::Array();
}

std::string for_host(const std::string& frame, std::string_view host_field, bool tls) {
  // Inside of a JSON text's strings quotes are escaped: this can only be a field of ours.
  static const std::string kField = "\"url\":\"" + std::string(kAnyHost) + ":";
  auto host = without_port(host_field);
  if (!is_host(host)) host = "localhost";
  std::string out;
  std::size_t from = 0;
  for (auto at = frame.find(kField); at != std::string::npos; at = frame.find(kField, from)) {
    out.append(frame, from, at - from)
        .append(tls ? "\"url\":\"https://" : "\"url\":\"http://")
        .append(host)
        .append(":");
    from = at + kField.size();
  }
  return out.append(frame, from);
}

}  // namespace lab::classroom
