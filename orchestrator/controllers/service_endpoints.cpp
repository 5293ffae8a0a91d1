#include "orchestrator/controllers/service_endpoints.h"

#include <algorithm>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

namespace {

// 0 where the pod has no such port.
std::int64_t target_port(const json::Value& service_port, const json::Value& pod) {
  const auto& target = json::at(service_port, "targetPort");
  if (target.is_null()) return json::num(service_port, "port");
  auto name = json::as_str(target);
  if (name.empty()) return json::as_int(target);
  auto protocol = json::str(service_port, "protocol");
  for (const char* kind : {"containers", "initContainers"})
    for (const auto& container : json::list(pod, "spec", kind)) {
      if (std::string_view(kind) == "initContainers" && json::str(container, "restartPolicy") != "Always") continue;
      for (const auto& port : json::list(container, "ports")) {
        auto own = json::str(port, "protocol");
        if (json::str(port, "name") == name && (own.empty() ? "TCP" : own) == (protocol.empty() ? "TCP" : protocol))
          return json::num(port, "containerPort");
      }
    }
  return 0;
}

}  // namespace

EndpointPorts ports_of(const json::Value& service, const json::Value& pod) {
  EndpointPorts ports;
  for (const auto& service_port : json::list(service, "spec", "ports")) {
    std::int64_t number = target_port(service_port, pod);
    if (number == 0) continue;
    auto protocol = json::str(service_port, "protocol");
    ports.push_back({std::string(json::str(service_port, "name")), std::string(protocol.empty() ? "TCP" : protocol),
                     std::string(json::str(service_port, "appProtocol")), number});
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

bool is_headless(const json::Value& service) {
  return json::str(service, "spec", "clusterIP") == "None";
}

bool selects_pods(const json::Value& service) {
  return !json::map(service, "spec", "selector").empty() && json::str(service, "spec", "type") != "ExternalName";
}

bool has_endpoint(const json::Value& pod) {
  return !json::str(pod, "status", "podIP").empty() && !pod_finished(pod);
}

std::string hostname_for(const json::Value& service, const json::Value& pod) {
  auto hostname = json::str(pod, "spec", "hostname");
  if (json::str(pod, "spec", "subdomain") != json::str(service, "metadata", "name")) return {};
  return std::string(hostname);
}

std::string address_of(const json::Value& pod, bool ipv6) {
  auto matches = [ipv6](std::string_view ip) { return !ip.empty() && (ip.find(':') != ip.npos) == ipv6; };
  for (const auto& entry : json::list(pod, "status", "podIPs"))
    if (auto ip = json::str(entry, "ip"); matches(ip)) return std::string(ip);
  auto ip = json::str(pod, "status", "podIP");
  return matches(ip) ? std::string(ip) : std::string();
}

json::Value pod_reference(const json::Value& pod) {
  return json::Object{{"kind", "Pod"}, {"namespace", ns_of(pod)}, {"name", name_of(pod)}, {"uid", uid_of(pod)}};
}

bool endpoint_changed(const json::Value& old, const json::Value& now) {
  return json::at(old, "status", "podIP") != json::at(now, "status", "podIP") ||
         json::at(old, "status", "podIPs") != json::at(now, "status", "podIPs") || pod_ready(old) != pod_ready(now) ||
         pod_finished(old) != pod_finished(now) || is_terminating(old) != is_terminating(now) ||
         json::at(old, "spec", "nodeName") != json::at(now, "spec", "nodeName") || labels_of(old) != labels_of(now);
}

std::vector<std::string> services_selecting(const client::Informer& services, const json::Value& pod) {
  std::vector<std::string> keys;
  const auto& labels = labels_of(pod);
  std::string ns = ns_of(pod);
  // A Service that selects the pod has its first pair among the pod's labels.
  for (const auto& label : labels) {
    std::string pair =
        ns + "/" + std::string(std::string_view(label.key())) + "=" + std::string(json::as_str(label.value()));
    for (const auto& service : services.by_index("selector", pair)) {
      if (!selects_pods(*service)) continue;
      bool all = true;
      for (const auto& want : json::map(*service, "spec", "selector")) {
        const auto* have = labels.if_contains(want.key());
        all = all && have && *have == want.value();
      }
      if (all) keys.push_back(client::key_of(*service));
    }
  }
  return keys;
}

json::Object labels_from(const json::Value& service) {
  json::Object labels = labels_of(service);
  labels.erase("service.kubernetes.io/headless");
  if (is_headless(service)) labels["service.kubernetes.io/headless"] = "";
  return labels;
}

}  // namespace lab::controllers
