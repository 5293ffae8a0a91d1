// The other groups: rbac, networking, policy, discovery, coordination, scheduling, storage, certificates, extensions.
#include <algorithm>

#include "orchestrator/api/names.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/api/validation.h"

namespace lab::api {

namespace {

const json::Value& spec_of(const Change& c) {
  return json::at(c.object, "spec");
}

void role(const Change& c, Findings& out) {
  const FieldPath rules("rules");
  std::size_t i = 0;
  for (const auto& rule : json::list(c.object, "rules")) {
    const FieldPath item(rules, i++);
    if (json::list(rule, "verbs").empty())
      out.required(FieldPath(item, "verbs"), "verbs must contain at least one value");
    if (!json::list(rule, "nonResourceURLs").empty()) {
      if (c.kind.namespaced)
        out.invalid(FieldPath(item, "nonResourceURLs"), json::at(rule, "nonResourceURLs"),
                    "namespaced rules cannot apply to non-resource URLs");
      if (!json::list(rule, "apiGroups").empty() || !json::list(rule, "resources").empty())
        out.invalid(FieldPath(item, "nonResourceURLs"), json::at(rule, "nonResourceURLs"),
                    "rules cannot apply to both regular resources and non-resource URLs");
      continue;
    }
    if (json::list(rule, "apiGroups").empty())
      out.required(FieldPath(item, "apiGroups"), "resource rules must supply at least one api group");
    if (json::list(rule, "resources").empty())
      out.required(FieldPath(item, "resources"), "resource rules must supply at least one resource");
  }
}

std::string go_role_ref(const json::Value& ref) {
  return "rbac.RoleRef{APIGroup:" + json::dump(json::Value(json::str(ref, "apiGroup"))) +
         ", Kind:" + json::dump(json::Value(json::str(ref, "kind"))) +
         ", Name:" + json::dump(json::Value(json::str(ref, "name"))) + "}";
}

void subject(const FieldPath& at, const json::Value& value, bool namespaced, Findings& out) {
  const auto kind = json::str(value, "kind"), group = json::str(value, "apiGroup");
  if (json::str(value, "name").empty()) out.required(FieldPath(at, "name"));
  if (kind == "ServiceAccount") {
    if (!json::str(value, "name").empty())
      out.problem(FieldPath(at, "name"), json::at(value, "name"), dns1123_subdomain_problem(json::str(value, "name")));
    if (!group.empty()) out.not_supported(FieldPath(at, "apiGroup"), json::Value(group), {""});
    if (!namespaced && json::str(value, "namespace").empty()) out.required(FieldPath(at, "namespace"));
  } else if (kind == "User" || kind == "Group") {
    if (group != "rbac.authorization.k8s.io")
      out.not_supported(FieldPath(at, "apiGroup"), json::Value(group), {"rbac.authorization.k8s.io"});
  } else {
    out.not_supported(FieldPath(at, "kind"), json::Value(kind), {"ServiceAccount", "User", "Group"});
  }
}

void role_binding(const Change& c, Findings& out) {
  const FieldPath at("roleRef");
  const auto& ref = json::at(c.object, "roleRef");
  const auto group = json::str(ref, "apiGroup"), kind = json::str(ref, "kind");
  if (group != "rbac.authorization.k8s.io")
    out.not_supported(FieldPath(at, "apiGroup"), json::Value(group), {"rbac.authorization.k8s.io"});
  if (c.kind.namespaced ? kind != "Role" && kind != "ClusterRole" : kind != "ClusterRole") {
    if (c.kind.namespaced)
      out.not_supported(FieldPath(at, "kind"), json::Value(kind), {"Role", "ClusterRole"});
    else
      out.not_supported(FieldPath(at, "kind"), json::Value(kind), {"ClusterRole"});
  }
  if (json::str(ref, "name").empty())
    out.required(FieldPath(at, "name"));
  else
    out.problem(FieldPath(at, "name"), json::at(ref, "name"), path_segment_problem(json::str(ref, "name")));
  const FieldPath subjects("subjects");
  std::size_t i = 0;
  for (const auto& item : json::list(c.object, "subjects"))
    subject(FieldPath(subjects, i++), item, c.kind.namespaced, out);
  if (c.old && json::at(*c.old, "roleRef") != ref) out.invalid_raw(at, go_role_ref(ref), "cannot change roleRef");
}

void ingress_backend(const FieldPath& at, const json::Value& backend, Findings& out) {
  const auto& service = json::at(backend, "service");
  const bool resource = json::has(backend, "resource");
  if (service.is_null()) {
    if (!resource) out.required(at, "service name or resource is required");
    return;
  }
  const FieldPath below(at, "service");
  if (resource) out.invalid(at, "", "cannot set both resource and service backends");
  if (json::str(service, "name").empty())
    out.required(FieldPath(below, "name"));
  else
    out.problem(FieldPath(below, "name"), json::at(service, "name"), dns1035_label_problem(json::str(service, "name")));
  const auto& port = json::at(service, "port");
  if (json::str(port, "name").empty() && json::num(port, "number") == 0)
    out.required(below, "port name or number is required");
  const FieldPath port_at(below, "port");
  if (json::num(port, "number") != 0) out.port(FieldPath(port_at, "number"), json::at(port, "number"));
}

void ingress_path(const FieldPath& at, const json::Value& path, Findings& out) {
  const auto type = json::str(path, "pathType"), text = json::str(path, "path");
  if (type.empty())
    out.required(FieldPath(at, "pathType"), "pathType must be specified");
  else
    out.one_of(FieldPath(at, "pathType"), type, {"Exact", "ImplementationSpecific", "Prefix"});
  if ((type != "ImplementationSpecific" || !text.empty()) && !text.starts_with('/'))
    out.invalid(FieldPath(at, "path"), json::Value(text), "must be an absolute path");
  ingress_backend(FieldPath(at, "backend"), json::at(path, "backend"), out);
}

void ingress(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  const auto& rules = json::list(spec, "rules");
  const FieldPath rules_at(at, "rules");
  if (rules.empty() && !json::has(spec, "defaultBackend"))
    out.invalid_raw(rules_at, "[]networking.IngressRule(nil)", "either `defaultBackend` or `rules` must be specified");
  if (json::has(spec, "defaultBackend"))
    ingress_backend(FieldPath(at, "defaultBackend"), json::at(spec, "defaultBackend"), out);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const FieldPath rule(rules_at, i);
    auto host = json::str(rules[i], "host");
    if (!host.empty())
      out.problem(FieldPath(rule, "host"), host,
                  dns1123_subdomain_problem(host.starts_with("*.") ? host.substr(2) : host));
    if (!json::has(rules[i], "http")) continue;
    const FieldPath http(rule, "http");
    const FieldPath paths(http, "paths");
    if (json::list(rules[i], "http", "paths").empty()) out.required(paths);
    std::size_t p = 0;
    for (const auto& path : json::list(rules[i], "http", "paths")) ingress_path(FieldPath(paths, p++), path, out);
  }
}

void policy_ports(const FieldPath& at, const json::Value& rule, Findings& out) {
  std::size_t i = 0;
  for (const auto& port : json::list(rule, "ports")) {
    const FieldPath item(at, i++);
    out.one_of(FieldPath(item, "protocol"), json::str(port, "protocol"), {"SCTP", "TCP", "UDP"});
    const auto& number = json::at(port, "port");
    if (number.is_number()) out.port(FieldPath(item, "port"), number);
    if (number.is_string()) out.problem(FieldPath(item, "port"), number, port_name_problem(json::as_str(number)));
    const auto& end = json::at(port, "endPort");
    if (!end.is_null() && (!number.is_number() || json::as_int(end) < json::as_int(number)))
      out.invalid(FieldPath(item, "endPort"), end, "must be greater than or equal to `port`");
  }
}

void network_policy(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  validate_label_selector(FieldPath(at, "podSelector"), json::at(spec, "podSelector"), out);
  struct Direction {
    std::string_view rules, peers;
  };
  for (const auto& [rules, peers] : {Direction{"ingress", "from"}, Direction{"egress", "to"}}) {
    const FieldPath list(at, rules);
    std::size_t i = 0;
    for (const auto& rule : json::list(spec, rules)) {
      const FieldPath item(list, i++);
      policy_ports(FieldPath(item, "ports"), rule, out);
      const FieldPath peers_at(item, peers);
      std::size_t p = 0;
      for (const auto& peer : json::list(rule, peers)) {
        const FieldPath peer_at(peers_at, p++);
        const bool block = json::has(peer, "ipBlock");
        const bool selectors = json::has(peer, "podSelector") || json::has(peer, "namespaceSelector");
        if (!block && !selectors) out.required(peer_at, "must specify a peer");
        if (block && selectors) out.forbidden(peer_at, "may not specify both ipBlock and another peer");
        const FieldPath block_at(peer_at, "ipBlock");
        if (block && json::str(peer, "ipBlock", "cidr").empty()) out.required(FieldPath(block_at, "cidr"));
      }
    }
  }
  const FieldPath types(at, "policyTypes");
  if (json::list(spec, "policyTypes").size() > 2)
    out.invalid(types, json::at(spec, "policyTypes"), "may not specify more than two policyTypes");
  std::size_t i = 0;
  for (const auto& type : json::list(spec, "policyTypes"))
    out.one_of(FieldPath(types, i++), json::as_str(type), {"Egress", "Ingress"});
}

void disruption_budget(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  if (json::has(spec, "minAvailable") && json::has(spec, "maxUnavailable"))
    out.invalid(at, spec, "minAvailable and maxUnavailable cannot be both set");
  for (std::string_view key : {"minAvailable", "maxUnavailable"})
    validate_count_or_percent(FieldPath(at, key), json::at(spec, key), out);
  validate_label_selector(FieldPath(at, "selector"), json::at(spec, "selector"), out);
}

void lease(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& seconds = json::at(spec_of(c), "leaseDurationSeconds");
  if (seconds.is_number() && json::as_int(seconds) <= 0)
    out.invalid(FieldPath(at, "leaseDurationSeconds"), seconds, "must be greater than 0");
  out.not_negative(FieldPath(at, "leaseTransitions"), json::at(spec_of(c), "leaseTransitions"));
}

void endpoint_slice(const Change& c, Findings& out) {
  out.one_of(FieldPath("addressType"), json::str(c.object, "addressType"), {"FQDN", "IPv4", "IPv6"});
  validate_unchanged(c, {"addressType"}, out);
  const FieldPath at("endpoints");
  std::size_t i = 0;
  for (const auto& endpoint : json::list(c.object, "endpoints")) {
    const FieldPath item(at, i++);
    if (json::list(endpoint, "addresses").empty())
      out.required(FieldPath(item, "addresses"), "must contain at least 1 address");
  }
  const FieldPath ports("ports");
  i = 0;
  for (const auto& port : json::list(c.object, "ports")) {
    const FieldPath item(ports, i++);
    out.one_of(FieldPath(item, "protocol"), json::str(port, "protocol"), {"SCTP", "TCP", "UDP"});
  }
}

void priority_class(const Change& c, Findings& out) {
  const std::int64_t value = json::num(c.object, "value");
  const auto name = json::str(c.object, "metadata", "name");
  const bool system = name == "system-node-critical" || name == "system-cluster-critical";
  const FieldPath metadata("metadata");
  if (name.starts_with("system-") && !system)
    out.forbidden(FieldPath(metadata, "name"),
                  "priority class names with 'system-' prefix are reserved for system use "
                  "only. error: " +
                      std::string(name) + " is not a known system priority class");
  else if (value > 1'000'000'000 && !system)
    out.forbidden(FieldPath("value"), "maximum allowed value of a user defined priority is 1000000000");
  out.one_of(FieldPath("preemptionPolicy"), json::str(c.object, "preemptionPolicy"), {"Never", "PreemptLowerPriority"});
  if (c.old && json::num(*c.old, "value") != value)
    out.forbidden(FieldPath("value"), "may not be changed in an update.");
  validate_unchanged(c, {"preemptionPolicy"}, out);
}

void storage_class(const Change& c, Findings& out) {
  if (json::str(c.object, "provisioner").empty()) out.required(FieldPath("provisioner"));
  if (!c.old) return;
  for (std::string_view key : {"parameters", "provisioner", "reclaimPolicy"})
    if (json::at(*c.old, key) != json::at(c.object, key))
      out.forbidden(FieldPath(key), "updates to " + std::string(key) + " are forbidden.");
  validate_unchanged(c, {"volumeBindingMode"}, out);
}

void signing_request(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  if (json::str(spec, "request").empty()) out.required(FieldPath(at, "request"));
  if (json::list(spec, "usages").empty()) out.required(FieldPath(at, "usages"));
  const auto signer = json::str(spec, "signerName");
  if (signer.empty())
    out.required(FieldPath(at, "signerName"));
  else if (signer.find('/') == signer.npos)
    out.invalid(FieldPath(at, "signerName"), json::Value(signer),
                "must be a fully qualified domain and path of the form 'example.com/signer-name'");
  const auto& seconds = json::at(spec, "expirationSeconds");
  if (seconds.is_number() && json::as_int(seconds) < 600)
    out.invalid(FieldPath(at, "expirationSeconds"), seconds,
                "may not specify a duration less than 600 seconds (10 minutes)");
}

void ingress_class(const Change& c, Findings& out) {
  validate_unchanged(c, {"spec", "controller"}, out);
  const FieldPath at("spec");
  if (json::str(spec_of(c), "controller").empty()) out.required(FieldPath(at, "controller"));
}

void runtime_class(const Change& c, Findings& out) {
  const auto handler = json::str(c.object, "handler");
  if (handler.empty())
    out.required(FieldPath("handler"));
  else
    out.problem(FieldPath("handler"), handler, dns1123_label_problem(handler));
  validate_unchanged(c, {"handler"}, out);
}

void custom_resource(const Change& c, Findings& out) {
  const FieldPath at("spec");
  const auto& spec = spec_of(c);
  const auto group = json::str(spec, "group"), plural = json::str(spec, "names", "plural");
  if (group.empty())
    out.required(FieldPath(at, "group"));
  else if (group.find('.') == group.npos)
    out.invalid(FieldPath(at, "group"), json::Value(group), "should be a domain with at least one dot");
  else
    out.problem(FieldPath(at, "group"), group, dns1123_subdomain_problem(group));
  out.one_of(FieldPath(at, "scope"), json::str(spec, "scope"), {"Cluster", "Namespaced"});
  const FieldPath names(at, "names");
  for (std::string_view key : {"plural", "kind"})
    if (json::str(spec, "names", key).empty()) out.required(FieldPath(names, key));
  for (std::string_view key : {"plural", "singular"})
    if (const auto name = json::str(spec, "names", key); !name.empty())
      out.problem(FieldPath(names, key), name, dns1035_label_problem(name));
  const std::string wanted = std::string(plural) + "." + std::string(group);
  const FieldPath metadata("metadata");
  if (json::str(c.object, "metadata", "name") != wanted)
    out.invalid(FieldPath(metadata, "name"), json::at(c.object, "metadata", "name"),
                "must be spec.names.plural+\".\"+spec.group");
  const FieldPath versions(at, "versions");
  int storage = 0;
  std::size_t i = 0;
  for (const auto& version : json::list(spec, "versions")) {
    const FieldPath item(versions, i++);
    storage += json::flag(version, "storage");
    out.problem(FieldPath(item, "name"), json::at(version, "name"), dns1035_label_problem(json::str(version, "name")));
    const FieldPath schema(item, "schema");
    if (!json::has(version, "schema", "openAPIV3Schema"))
      out.required(FieldPath(schema, "openAPIV3Schema"), "schemas are required");
  }
  if (i == 0) out.required(versions, "must have exactly one version marked as storage version");
  if (i && storage != 1)
    out.invalid(versions, json::at(spec, "versions"), "must have exactly one version marked as storage version");
  validate_conversion(FieldPath(at, "conversion"), json::at(spec, "conversion"), out);
  for (std::string_view key : {"group", "scope"}) validate_unchanged(c, {"spec", key}, out);
  validate_unchanged(c, {"spec", "names", "kind"}, out);
}

}  // namespace

Validator policy_validator(std::string_view group, std::string_view kind) {
  struct Row {
    std::string_view group, kind;
    Validator f;
  };
  static constexpr Row kTable[] = {
      {"rbac.authorization.k8s.io", "Role", role},
      {"rbac.authorization.k8s.io", "ClusterRole", role},
      {"rbac.authorization.k8s.io", "RoleBinding", role_binding},
      {"rbac.authorization.k8s.io", "ClusterRoleBinding", role_binding},
      {"networking.k8s.io", "Ingress", ingress},
      {"networking.k8s.io", "IngressClass", ingress_class},
      {"networking.k8s.io", "NetworkPolicy", network_policy},
      {"policy", "PodDisruptionBudget", disruption_budget},
      {"coordination.k8s.io", "Lease", lease},
      {"discovery.k8s.io", "EndpointSlice", endpoint_slice},
      {"scheduling.k8s.io", "PriorityClass", priority_class},
      {"storage.k8s.io", "StorageClass", storage_class},
      {"certificates.k8s.io", "CertificateSigningRequest", signing_request},
      {"node.k8s.io", "RuntimeClass", runtime_class},
      {"apiextensions.k8s.io", "CustomResourceDefinition", custom_resource},
      {"admissionregistration.k8s.io", "MutatingWebhookConfiguration", validate_webhook_configuration},
      {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", validate_webhook_configuration},
      {"apiregistration.k8s.io", "APIService", validate_api_service},
  };
  for (const Row& row : kTable)
    if (row.group == group && row.kind == kind) return row.f;
  return nullptr;
}

}  // namespace lab::api
