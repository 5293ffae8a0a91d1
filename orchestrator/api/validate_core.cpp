// The core group apart from pods: pkg/apis/core/validation of kube-apiserver, in its words.
#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "orchestrator/api/base64.h"
#include "orchestrator/api/names.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/api/validation.h"

namespace lab::api {

namespace {

constexpr std::size_t kMaxDataBytes = 1024 * 1024;  // of a ConfigMap or Secret
constexpr std::int64_t kMaxAffinitySeconds = 86400;

// "10.9.8.0/24", "2001:db8::/64".
bool is_cidr(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == text.npos) return false;
  const std::string address(text.substr(0, slash));
  const auto length = text.substr(slash + 1);
  unsigned bits = 0;
  auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (error != std::errc{} || end != length.data() + length.size()) return false;
  unsigned char bytes[16];
  if (::inet_pton(AF_INET, address.c_str(), bytes) == 1) return bits <= 32;
  return ::inet_pton(AF_INET6, address.c_str(), bytes) == 1 && bits <= 128;
}

const json::Value& spec_of(const Change& c) {
  return json::at(c.object, "spec");
}

void pod(const Change& c, Findings& out) {
  validate_pod_spec(FieldPath("spec"), spec_of(c), out);
  if (c.old) validate_pod_update(c, out);
}

void pod_template(const Change& c, Findings& out) {
  const FieldPath at("template");
  validate_pod_spec(FieldPath(at, "spec"), json::at(c.object, "template", "spec"), out);
}

void service_ports(const FieldPath& at, const json::Value& spec, Findings& out) {
  const auto& ports = json::list(spec, "ports");
  const auto type = json::str(spec, "type");
  if (ports.empty() && type != "ExternalName" && json::str(spec, "clusterIP") != "None") out.required(at);
  std::set<std::string_view> names;
  std::set<std::string> numbers;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const FieldPath item(at, i);
    const auto name = json::str(ports[i], "name");
    if (name.empty() && ports.size() > 1) {
      out.required(FieldPath(item, "name"));
    } else if (!name.empty()) {
      out.problem(FieldPath(item, "name"), name, dns1123_label_problem(name));
      if (!names.insert(name).second) out.duplicate(FieldPath(item, "name"), json::at(ports[i], "name"));
    }
    out.port(FieldPath(item, "port"), json::at(ports[i], "port"));
    const auto protocol = json::str(ports[i], "protocol");
    out.one_of(FieldPath(item, "protocol"), protocol, {"SCTP", "TCP", "UDP"});
    const auto& target = json::at(ports[i], "targetPort");
    if (target.is_string())
      out.problem(FieldPath(item, "targetPort"), target, port_name_problem(json::as_str(target)));
    else if (!target.is_null())
      out.port(FieldPath(item, "targetPort"), target);
    if (json::num(ports[i], "nodePort") != 0 && type == "ClusterIP")
      out.forbidden(FieldPath(item, "nodePort"), "may not be used when `type` is 'ClusterIP'");
    std::string key = std::string(protocol) + "/" + std::to_string(json::num(ports[i], "port"));
    if (!numbers.insert(key).second) out.duplicate(item, json::Value(key));
  }
}

// Who is served, from where, and for how long by the same endpoint.
void service_traffic(const FieldPath& at, const json::Value& spec, Findings& out) {
  if (const auto wanted = json::str(spec, "trafficDistribution"); !wanted.empty())
    out.one_of(FieldPath(at, "trafficDistribution"), wanted, {"PreferClose", "PreferSameNode", "PreferSameZone"});
  const auto& timeout = json::at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds");
  if (json::str(spec, "sessionAffinity") == "ClientIP" && timeout.is_number()) {
    const FieldPath config(at, "sessionAffinityConfig"), client(config, "clientIP");
    if (json::as_int(timeout) <= 0 || json::as_int(timeout) > kMaxAffinitySeconds)
      out.invalid(FieldPath(client, "timeoutSeconds"), timeout,
                  "must be greater than 0 and less than " + std::to_string(kMaxAffinitySeconds));
  }
  const FieldPath ranges(at, "LoadBalancerSourceRanges");
  const auto& given = json::list(spec, "loadBalancerSourceRanges");
  if (!given.empty() && json::str(spec, "type") != "LoadBalancer")
    out.forbidden(ranges, "may only be used when `type` is 'LoadBalancer'");
  for (std::size_t i = 0; i < given.size(); ++i)
    if (!is_cidr(json::as_str(given[i])))
      out.invalid(FieldPath(ranges, i), given[i], "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
}

void service(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  const auto type = json::str(spec, "type");
  out.one_of(FieldPath(at, "type"), type, {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"});
  out.one_of(FieldPath(at, "sessionAffinity"), json::str(spec, "sessionAffinity"), {"ClientIP", "None"});
  service_ports(FieldPath(at, "ports"), spec, out);
  validate_labels(FieldPath(at, "selector"), json::at(spec, "selector"), out);
  const auto ip = json::str(spec, "clusterIP");
  if (type == "LoadBalancer" && ip == "None")
    out.invalid(FieldPath(at, "clusterIP"), json::at(spec, "clusterIP"),
                "may not be set to 'None' for LoadBalancer services");
  if (type == "NodePort" && ip == "None")
    out.invalid(FieldPath(at, "clusterIP"), json::at(spec, "clusterIP"),
                "may not be set to 'None' for NodePort services");
  if (type == "ExternalName") {
    const auto name = json::str(spec, "externalName");
    if (name.empty())
      out.required(FieldPath(at, "externalName"));
    else
      out.problem(FieldPath(at, "externalName"), name,
                  dns1123_subdomain_problem(name.ends_with('.') ? name.substr(0, name.size() - 1) : name));
    if (!ip.empty() && ip != "None")
      out.forbidden(FieldPath(at, "clusterIP"), "may not be set when `type` is 'ExternalName'");
  }
  for (std::string_view key : {"externalTrafficPolicy", "internalTrafficPolicy"})
    if (const auto policy = json::str(spec, key); !policy.empty())
      out.one_of(FieldPath(at, key), policy, {"Cluster", "Local"});
  service_traffic(at, spec, out);
  if (!c.old || type == "ExternalName") return;
  const auto before = json::str(*c.old, "spec", "clusterIP");
  if (!before.empty() && before != ip && json::str(*c.old, "spec", "type") != "ExternalName") {
    const FieldPath ips(at, "clusterIPs");
    out.invalid_raw(FieldPath(ips, std::size_t(0)), "[]string{" + json::dump(json::Value(ip)) + "}",
                    "may not change once set");
  }
}

std::size_t data_size(const json::Value& object, std::string_view key, bool base64) {
  std::size_t size = 0;
  for (const auto& [name, value] : json::map(object, key)) {
    const std::size_t length = json::as_str(value).size();
    size += base64 ? length / 4 * 3 : length;
  }
  return size;
}

void immutable_data(const Change& c, std::initializer_list<std::string_view> keys, Findings& out) {
  if (!c.old || !json::flag(*c.old, "immutable")) return;
  const std::string_view why = "field is immutable when `immutable` is set";
  if (!json::flag(c.object, "immutable")) out.forbidden(FieldPath("immutable"), why);
  for (std::string_view key : keys)
    if (json::map(*c.old, key) != json::map(c.object, key)) out.forbidden(FieldPath(key), why);
}

void config_map(const Change& c, Findings& out) {
  const auto& data = json::map(c.object, "data");
  const FieldPath data_at("data"), binary_at("binaryData");
  for (const auto& [key, value] : data) {
    const FieldPath item = data_at.key(key);
    out.problem(item, std::string_view(key), config_key_problem(key));
    if (json::map(c.object, "binaryData").contains(key))
      out.invalid(item, json::Value(key), "duplicate of key present in binaryData");
  }
  for (const auto& [key, value] : json::map(c.object, "binaryData"))
    out.problem(binary_at.key(key), std::string_view(key), config_key_problem(key));
  if (data_size(c.object, "data", false) + data_size(c.object, "binaryData", true) > kMaxDataBytes)
    out.too_long(FieldPath(""), kMaxDataBytes);
  immutable_data(c, {"data", "binaryData"}, out);
}

void secret_type(const Change& c, std::string_view type, Findings& out) {
  const FieldPath data("data");
  auto need = [&](std::string_view key) {
    if (!json::map(c.object, "data").contains(key)) out.required(data.key(key));
  };
  if (type == "kubernetes.io/tls") {
    need("tls.crt");
    need("tls.key");
  } else if (type == "kubernetes.io/ssh-auth") {
    need("ssh-privatekey");
  } else if (type == "kubernetes.io/basic-auth") {
    if (!json::map(c.object, "data").contains("username") && !json::map(c.object, "data").contains("password")) {
      need("username");
      need("password");
    }
  } else if (type == "kubernetes.io/dockerconfigjson" || type == "kubernetes.io/dockercfg") {
    const std::string_view key = type == "kubernetes.io/dockercfg" ? ".dockercfg" : ".dockerconfigjson";
    need(key);
    const auto content = base64_decode(json::str(c.object, "data", key));
    if (json::map(c.object, "data").contains(key) && (!content || !json::parse(*content)))
      out.invalid(data.key(key), "<secret contents redacted>", "invalid character in JSON");
  } else if (type == "kubernetes.io/service-account-token" &&
             json::str(c.object, "metadata", "annotations", "kubernetes.io/service-account.name").empty()) {
    const FieldPath metadata("metadata");
    const FieldPath annotations(metadata, "annotations");
    out.required(annotations.key("kubernetes.io/service-account.name"));
  }
}

void secret(const Change& c, Findings& out) {
  const FieldPath data("data");
  for (const auto& [key, value] : json::map(c.object, "data"))
    out.problem(data.key(key), std::string_view(key), config_key_problem(key));
  if (data_size(c.object, "data", true) > kMaxDataBytes) out.too_long(data, kMaxDataBytes);
  secret_type(c, json::str(c.object, "type"), out);
  validate_unchanged(c, {"type"}, out);
  immutable_data(c, {"data"}, out);
}

void endpoints(const Change& c, Findings& out) {
  const FieldPath at("subsets");
  std::size_t i = 0;
  for (const auto& subset : json::list(c.object, "subsets")) {
    const FieldPath item(at, i++);
    if (json::list(subset, "addresses").empty() && json::list(subset, "notReadyAddresses").empty())
      out.required(item, "must specify `addresses` or `notReadyAddresses`");
    const FieldPath ports_at(item, "ports");
    const auto& ports = json::list(subset, "ports");
    for (std::size_t p = 0; p < ports.size(); ++p) {
      const FieldPath port_at(ports_at, p);
      if (ports.size() > 1 && json::str(ports[p], "name").empty()) out.required(FieldPath(port_at, "name"));
      out.port(FieldPath(port_at, "port"), json::at(ports[p], "port"));
    }
  }
}

void replication_controller(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  out.not_negative(FieldPath(at, "replicas"), json::at(spec, "replicas"));
  if (json::map(spec, "selector").empty()) out.required(FieldPath(at, "selector"));
  const FieldPath pod_template(at, "template");
  if (!json::has(spec, "template")) return out.required(pod_template);
  const auto& labels = json::map(spec, "template", "metadata", "labels");
  if (!LabelSelector::from_map(json::map(spec, "selector")).matches(labels)) {
    const FieldPath metadata(pod_template, "metadata");
    out.invalid_raw(FieldPath(metadata, "labels"), go_map(labels), "`selector` does not match template `labels`");
  }
  validate_pod_spec(FieldPath(pod_template, "spec"), json::at(spec, "template", "spec"), out);
}

void claim_spec(const FieldPath& at, const json::Value& spec, Findings& out) {
  if (json::list(spec, "accessModes").empty())
    out.required(FieldPath(at, "accessModes"), "at least 1 access mode is required");
  std::size_t i = 0;
  const FieldPath modes(at, "accessModes");
  for (const auto& mode : json::list(spec, "accessModes"))
    out.one_of(FieldPath(modes, i++), json::as_str(mode),
               {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"});
  const FieldPath resources(at, "resources");
  const FieldPath requests(resources, "requests");
  if (json::str(spec, "resources", "requests", "storage").empty()) out.required(requests.key("storage"));
  validate_resources(resources, json::at(spec, "resources"), out, true);
}

void claim(const Change& c, Findings& out) {
  const FieldPath at("spec");
  claim_spec(at, spec_of(c), out);
  if (!c.old) return;
  json::Value before = json::at(*c.old, "spec"), now = spec_of(c);
  for (auto* spec : {&before, &now}) {
    json::erase(*spec, "resources", "requests");
    json::erase(*spec, "volumeAttributesClassName");
  }
  // Binding fills in the volume and, late, the class.
  for (std::string_view key : {"volumeName", "storageClassName"})
    if (!json::has(before, key)) json::erase(now, key);
  if (before != now)
    out.forbidden(at,
                  "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
                  "bound claims");
}

void volume(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  if (json::list(spec, "accessModes").empty()) out.required(FieldPath(at, "accessModes"));
  if (json::map(spec, "capacity").empty()) out.required(FieldPath(at, "capacity"));
  out.one_of(FieldPath(at, "persistentVolumeReclaimPolicy"), json::str(spec, "persistentVolumeReclaimPolicy"),
             {"Delete", "Recycle", "Retain"});
  int sources = 0;
  for (std::string_view kind : {"hostPath",
                                "nfs",
                                "local",
                                "csi",
                                "iscsi",
                                "fc",
                                "rbd",
                                "cephfs",
                                "glusterfs",
                                "cinder",
                                "awsElasticBlockStore",
                                "gcePersistentDisk",
                                "azureDisk",
                                "azureFile",
                                "vsphereVolume",
                                "flexVolume",
                                "flocker",
                                "quobyte",
                                "portworxVolume",
                                "scaleIO",
                                "storageos",
                                "photonPersistentDisk"})
    if (json::has(spec, kind) && ++sources > 1)
      out.forbidden(FieldPath(at, kind), "may not specify more than 1 volume type");
  if (sources == 0) out.required(at, "must specify a volume type");
  if (json::has(spec, "local") && !json::has(spec, "nodeAffinity"))
    out.required(FieldPath(at, "nodeAffinity"), "Local volume requires node affinity");
}

void limit_range(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const FieldPath limits(at, "limits");
  std::set<std::string_view> types;
  std::size_t i = 0;
  for (const auto& item : json::list(spec_of(c), "limits")) {
    const FieldPath here(limits, i++);
    const auto type = json::str(item, "type");
    if (type.empty())
      out.required(FieldPath(here, "type"));
    else if (!types.insert(type).second)
      out.duplicate(FieldPath(here, "type"), json::Value(type));
    if (type != "Pod") continue;
    for (std::string_view key : {"default", "defaultRequest"})
      if (json::has(item, key)) out.forbidden(FieldPath(here, key), "may not be specified when `type` is 'Pod'");
  }
}

void node(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const FieldPath taints(at, "taints");
  std::set<std::string> seen;
  std::size_t i = 0;
  for (const auto& taint : json::list(spec_of(c), "taints")) {
    const FieldPath item(taints, i++);
    out.problem(FieldPath(item, "key"), json::at(taint, "key"), label_key_problem(json::str(taint, "key")));
    out.problem(FieldPath(item, "value"), json::at(taint, "value"), label_value_problem(json::str(taint, "value")));
    out.one_of(FieldPath(item, "effect"), json::str(taint, "effect"), {"NoSchedule", "PreferNoSchedule", "NoExecute"});
    if (!seen.insert(std::string(json::str(taint, "key")) + "/" + std::string(json::str(taint, "effect"))).second)
      out.duplicate(item, taint);
  }
  if (c.old && json::has(*c.old, "spec", "podCIDR") &&
      json::at(*c.old, "spec", "podCIDR") != json::at(c.object, "spec", "podCIDR"))
    out.forbidden(FieldPath(at, "podCIDRs"), "node updates may not change podCIDR except from \"\" to valid");
}

void event(const Change& c, Findings& out) {
  const auto involved = json::str(c.object, "involvedObject", "namespace"),
             own = json::str(c.object, "metadata", "namespace");
  if (c.old || involved == own || (involved.empty() && own == "default")) return;
  const FieldPath object("involvedObject");
  out.invalid(FieldPath(object, "namespace"), json::Value(involved), "does not match event.namespace");
}

void binding(const Change& c, Findings& out) {
  const FieldPath at("target");
  const auto kind = json::str(c.object, "target", "kind");
  if (!kind.empty() && kind != "Node") out.not_supported(FieldPath(at, "kind"), json::Value(kind), {"Node", "<empty>"});
  if (json::str(c.object, "target", "name").empty()) out.required(FieldPath(at, "name"));
}

}  // namespace

Validator core_validator(std::string_view kind) {
  static constexpr std::pair<std::string_view, Validator> kTable[] = {
      {"Pod", pod},
      {"PodTemplate", pod_template},
      {"Service", service},
      {"ConfigMap", config_map},
      {"Secret", secret},
      {"Endpoints", endpoints},
      {"ReplicationController", replication_controller},
      {"PersistentVolumeClaim", claim},
      {"PersistentVolume", volume},
      {"LimitRange", limit_range},
      {"Node", node},
      {"Event", event},
      {"Binding", binding},
  };
  for (const auto& [name, f] : kTable)
    if (name == kind) return f;
  return nullptr;
}

}  // namespace lab::api
