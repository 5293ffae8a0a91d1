#include "orchestrator/scheduler/pod_info.h"

namespace lab::scheduler {

namespace {

void collect_ports(const json::Value& container, bool host_network, std::vector<HostPort>& out) {
  for (const auto& p : json::list(container, "ports")) {
    std::int64_t port = json::num(p, "hostPort");
    if (port == 0 && host_network) port = json::num(p, "containerPort");
    if (port <= 0) continue;
    auto ip = json::str(p, "hostIP");
    auto protocol = json::str(p, "protocol");
    out.push_back({ip.empty() ? "0.0.0.0" : std::string(ip), protocol.empty() ? "TCP" : std::string(protocol), port});
  }
}

std::vector<HostPort> host_ports(const json::Value& pod) {
  std::vector<HostPort> out;
  bool host_network = json::flag(pod, "spec", "hostNetwork");
  for (const auto& c : json::list(pod, "spec", "containers")) collect_ports(c, host_network, out);
  for (const auto& c : json::list(pod, "spec", "initContainers"))
    if (json::str(c, "restartPolicy") == "Always") collect_ports(c, host_network, out);
  return out;
}

// Ephemeral volumes have a claim named after the pod and the volume.
std::vector<std::string> claims(const json::Value& pod) {
  std::vector<std::string> out;
  for (const auto& v : json::list(pod, "spec", "volumes")) {
    if (json::has(v, "persistentVolumeClaim"))
      out.emplace_back(json::str(v, "persistentVolumeClaim", "claimName"));
    else if (json::has(v, "ephemeral"))
      out.push_back(std::string(json::str(pod, "metadata", "name")) + "-" + std::string(json::str(v, "name")));
  }
  return out;
}

void keep_only(json::Value& object, std::initializer_list<std::string_view> keys) {
  auto* fields = object.if_object();
  if (!fields) return;
  json::Object kept(fields->storage());
  for (auto key : keys)
    if (auto* value = fields->if_contains(key)) kept.emplace(key, std::move(*value));
  *fields = std::move(kept);
}

}  // namespace

bool HostPort::conflicts(const HostPort& other) const {
  return port == other.port && protocol == other.protocol &&
         (ip == other.ip || ip == "0.0.0.0" || other.ip == "0.0.0.0");
}

PodInfoPtr make_pod_info(client::ObjectPtr pod) {
  auto out = std::make_shared<PodInfo>();
  const json::Value& p = *pod;
  out->ns = json::str(p, "metadata", "namespace");
  out->name = json::str(p, "metadata", "name");
  out->key = out->ns + "/" + out->name;
  out->uid = json::str(p, "metadata", "uid");
  out->node_name = json::str(p, "spec", "nodeName");
  out->nominated_node = json::str(p, "status", "nominatedNodeName");
  out->priority = json::num(p, "spec", "priority");
  out->terminating = json::has(p, "metadata", "deletionTimestamp");
  out->gated = !json::list(p, "spec", "schedulingGates").empty();
  out->may_preempt = json::str(p, "spec", "preemptionPolicy") != "Never";
  out->start_time = json::str(p, "status", "startTime");
  out->requests = pod_requests(p);
  out->requests_or_defaults = pod_requests_or_defaults(p);
  out->best_effort = out->requests.cpu == 0 && out->requests.memory == 0;
  out->host_ports = host_ports(p);
  for (const auto& c : json::list(p, "spec", "containers")) out->images.emplace_back(json::str(c, "image"));
  out->claims = claims(p);
  out->tolerations = parse_tolerations(p);
  out->node_requirement = parse_node_requirement(p);
  out->preferred_nodes = parse_preferred_node_terms(p);
  out->affinity = parse_affinity(p, "podAffinity");
  out->anti_affinity = parse_affinity(p, "podAntiAffinity");
  out->spread = parse_spread_constraints(p);
  out->object = std::move(pod);
  return out;
}

PodInfoPtr on_node(const PodInfo& pod, std::string node_name) {
  auto out = std::make_shared<PodInfo>(pod);
  out->node_name = std::move(node_name);
  return out;
}

bool is_terminal(const json::Value& pod) {
  auto phase = json::str(pod, "status", "phase");
  return phase == "Succeeded" || phase == "Failed";
}

void trim_pod(json::Value& pod) {
  for (const char* list : {"containers", "initContainers"}) {
    auto* spec = pod.is_object() ? pod.get_object().if_contains("spec") : nullptr;
    auto* containers = spec && spec->is_object() ? spec->get_object().if_contains(list) : nullptr;
    if (!containers || !containers->is_array()) continue;
    for (auto& c : containers->get_array()) keep_only(c, {"name", "image", "ports", "resources", "restartPolicy"});
  }
  if (json::has(pod, "spec", "volumes"))
    for (auto& v : json::ensure(pod, "spec", "volumes").as_array())
      keep_only(v, {"name", "persistentVolumeClaim", "ephemeral"});
  if (json::has(pod, "status"))
    keep_only(json::ensure(pod, "status"), {"phase", "conditions", "nominatedNodeName", "startTime"});
  json::erase(pod, "metadata", "annotations");
}

}  // namespace lab::scheduler
