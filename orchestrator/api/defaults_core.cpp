// Defaults of the core group: pkg/apis/core/v1/defaults.go of kube-apiserver.
#include <string>
#include <utility>

#include "orchestrator/api/base64.h"
#include "orchestrator/api/defaults_parts.h"

namespace lab::api {

namespace {

using json::Object;

// A container that limits a resource and requests none of it requests the limit.
void requests_from_limits(Object& container) {
  Object* resources = child(container, "resources");
  if (!resources || json::as_object(get(*resources, "limits")).empty()) return;
  // Making a field moves its neighbours: the limits are looked up after it.
  Object& requests = ensure_child(*resources, "requests");
  for (const auto& [name, amount] : json::as_object(get(*resources, "limits")))
    if (!requests.contains(name)) requests.emplace(name, amount);
}

void pod(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  for (std::string_view list : {"containers", "initContainers"}) for_each_item(spec, list, requests_from_limits);
  default_pod_spec(spec);
  set_default(spec, "enableServiceLinks", true);
}

void pod_template(const Kind&, Object& object) {
  default_pod_template(object);
}

void service(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "sessionAffinity", "None");
  if (json::as_str(spec["sessionAffinity"]) == "ClientIP") {
    Object& client = ensure_child(ensure_child(spec, "sessionAffinityConfig"), "clientIP");
    set_default(client, "timeoutSeconds", 10800);
  } else {
    spec.erase("sessionAffinityConfig");
  }
  set_default(spec, "type", "ClusterIP");
  for_each_item(spec, "ports", [](Object& port) {
    set_default(port, "protocol", "TCP");
    const auto& target = get(port, "targetPort");
    if (target.is_null() || json::as_str(target, "x").empty() || (target.is_number() && json::as_int(target) == 0))
      port["targetPort"] = json::Value(get(port, "port"));
  });
  const std::string type(json::as_str(spec["type"]));
  const auto* external = spec.if_contains("externalIPs");
  const bool reachable = type == "NodePort" || type == "LoadBalancer" ||
                         (type == "ClusterIP" && external && !json::as_array(*external).empty());
  if (reachable) set_default(spec, "externalTrafficPolicy", "Cluster");
  if (type != "ExternalName") set_default(spec, "internalTrafficPolicy", "Cluster");
  if (type == "LoadBalancer") set_default(spec, "allocateLoadBalancerNodePorts", true);
}

void endpoints(const Kind&, Object& object) {
  for_each_item(object, "subsets", [](Object& subset) {
    for_each_item(subset, "ports", [](Object& port) { set_default(port, "protocol", "TCP"); });
  });
}

void secret(const Kind&, Object& object) {
  // stringData is write-only: its values go into data, over what stands there.
  if (auto* plain = child(object, "stringData")) {
    const Object given = std::move(*plain);
    object.erase("stringData");
    Object& data = ensure_child(object, "data");
    for (const auto& [key, value] : given) data.insert_or_assign(key, base64_encode(json::as_str(value)));
  }
  set_default(object, "type", "Opaque");
}

void name_space(const Kind&, Object& object) {
  Object& metadata = ensure_child(object, "metadata");
  const std::string name(json::as_str(get(metadata, "name")));
  if (!name.empty()) set_default(ensure_child(metadata, "labels"), "kubernetes.io/metadata.name", json::Value(name));
}

void node(const Kind&, Object& object) {
  Object* status = child(object, "status");
  Object* capacity = status ? child(*status, "capacity") : nullptr;
  if (capacity && !capacity->empty()) set_default(*status, "allocatable", json::Value(*capacity));
}

void replication_controller(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "replicas", 1);
  default_pod_template(spec);
  Object* pod_template = child(spec, "template");
  Object* metadata = pod_template ? child(*pod_template, "metadata") : nullptr;
  Object* labels = metadata ? child(*metadata, "labels") : nullptr;
  if (!labels || labels->empty()) return;
  if (ensure_child(spec, "selector").empty()) spec["selector"] = *labels;
  Object& own = ensure_child(object, "metadata");
  if (!child(own, "labels") || child(own, "labels")->empty()) own["labels"] = *labels;
}

void persistent_volume(const Kind&, Object& object) {
  set_default(ensure_child(object, "status"), "phase", "Pending");
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "persistentVolumeReclaimPolicy", "Retain");
  set_default(spec, "volumeMode", "Filesystem");
  if (auto* host = child(spec, "hostPath")) set_default(*host, "type", "");
}

void claim(const Kind&, Object& object) {
  default_claim(object);
}

void limit_range(const Kind&, Object& object) {
  Object* spec = child(object, "spec");
  if (!spec) return;
  for_each_item(*spec, "limits", [](Object& item) {
    if (json::as_str(get(item, "type")) != "Container") return;
    // What a container gets without asking: default from max, defaultRequest from default, else from min.
    const std::pair<std::string_view, std::string_view> steps[] = {
        {"default", "max"}, {"defaultRequest", "default"}, {"defaultRequest", "min"}};
    for (const auto& [target, source] : steps) {
      Object* from = child(item, source);
      if (!from || from->empty()) continue;
      const Object values = *from;
      Object& into = ensure_child(item, target);
      for (const auto& [name, amount] : values)
        if (!into.contains(name)) into.emplace(name, amount);
    }
  });
}

}  // namespace

Defaulter core_defaulter(std::string_view kind) {
  static constexpr std::pair<std::string_view, Defaulter> kTable[] = {
      {"Pod", pod},
      {"PodTemplate", pod_template},
      {"Service", service},
      {"Endpoints", endpoints},
      {"Secret", secret},
      {"Namespace", name_space},
      {"Node", node},
      {"ReplicationController", replication_controller},
      {"PersistentVolume", persistent_volume},
      {"PersistentVolumeClaim", claim},
      {"LimitRange", limit_range},
  };
  for (const auto& [name, f] : kTable)
    if (name == kind) return f;
  return nullptr;
}

}  // namespace lab::api
