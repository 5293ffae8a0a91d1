// Defaults of the other groups: networking, discovery, rbac, scheduling, storage, admission, extensions, flow control.
#include <algorithm>
#include <string>

#include "orchestrator/api/defaults_parts.h"

namespace lab::api {

namespace {

using json::Object;

constexpr std::string_view kRbac = "rbac.authorization.k8s.io";

void network_policy(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  for (std::string_view direction : {"ingress", "egress"})
    for_each_item(spec, direction, [](Object& rule) {
      for_each_item(rule, "ports", [](Object& port) { set_default(port, "protocol", "TCP"); });
    });
  const bool egress = !json::as_array(get(spec, "egress")).empty();
  auto& types = spec["policyTypes"];
  if (json::as_array(types).empty()) types = egress ? json::Array{"Ingress", "Egress"} : json::Array{"Ingress"};
}

void ingress_class(const Kind&, Object& object) {
  if (auto* spec = child(object, "spec"))
    if (auto* parameters = child(*spec, "parameters")) set_default(*parameters, "scope", "Cluster");
}

void endpoint_slice(const Kind&, Object& object) {
  for_each_item(object, "ports", [](Object& port) {
    set_default(port, "name", "");
    set_default(port, "protocol", "TCP");
  });
}

void role_binding(const Kind&, Object& object) {
  Object& ref = ensure_child(object, "roleRef");
  if (json::as_str(get(ref, "apiGroup")).empty()) ref["apiGroup"] = json::Value(kRbac);
  for_each_item(object, "subjects", [](Object& subject) {
    const auto kind = json::as_str(get(subject, "kind"));
    if (kind == "User" || kind == "Group") set_default(subject, "apiGroup", json::Value(kRbac));
  });
}

void priority_class(const Kind&, Object& object) {
  set_default(object, "preemptionPolicy", "PreemptLowerPriority");
}

void storage_class(const Kind&, Object& object) {
  set_default(object, "reclaimPolicy", "Delete");
  set_default(object, "volumeBindingMode", "Immediate");
}

void csi_driver(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "attachRequired", true);
  for (std::string_view flag : {"podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"})
    set_default(spec, flag, false);
  set_default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
  if (json::as_array(get(spec, "volumeLifecycleModes")).empty())
    spec["volumeLifecycleModes"] = json::Array{"Persistent"};
}

void default_service_port(Object& client_config) {
  if (auto* service = child(client_config, "service")) set_default(*service, "port", 443);
}

void webhooks(const Kind& kind, Object& object) {
  const bool mutating = kind.kind == "MutatingWebhookConfiguration";
  for_each_item(object, "webhooks", [&](Object& hook) {
    set_default(hook, "failurePolicy", "Fail");
    set_default(hook, "matchPolicy", "Equivalent");
    set_default(hook, "namespaceSelector", Object());
    set_default(hook, "objectSelector", Object());
    set_default(hook, "timeoutSeconds", 10);
    if (mutating) set_default(hook, "reinvocationPolicy", "Never");
    for_each_item(hook, "rules", [](Object& rule) { set_default(rule, "scope", "*"); });
    if (auto* config = child(hook, "clientConfig")) default_service_port(*config);
  });
}

void default_match(Object& match) {
  set_default(match, "matchPolicy", "Equivalent");
  set_default(match, "namespaceSelector", Object());
  set_default(match, "objectSelector", Object());
  for (std::string_view list : {"resourceRules", "excludeResourceRules"})
    for_each_item(match, list, [](Object& rule) { set_default(rule, "scope", "*"); });
}

void admission_policy(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  set_default(spec, "failurePolicy", "Fail");
  if (auto* match = child(spec, "matchConstraints")) default_match(*match);
}

void admission_policy_binding(const Kind&, Object& object) {
  if (auto* spec = child(object, "spec"))
    if (auto* match = child(*spec, "matchResources")) default_match(*match);
}

void custom_resource(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  Object& names = ensure_child(spec, "names");
  const std::string kind(json::as_str(get(names, "kind")));
  if (!kind.empty()) {
    std::string singular = kind;
    std::ranges::transform(singular, singular.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    if (json::as_str(get(names, "singular")).empty()) names["singular"] = singular;
    if (json::as_str(get(names, "listKind")).empty()) names["listKind"] = kind + "List";
  }
  Object& conversion = ensure_child(spec, "conversion");
  set_default(conversion, "strategy", "None");
  if (auto* webhook = child(conversion, "webhook"))
    if (auto* config = child(*webhook, "clientConfig")) default_service_port(*config);
}

void api_service(const Kind&, Object& object) {
  if (auto* spec = child(object, "spec")) default_service_port(*spec);
}

void flow_schema(const Kind&, Object& object) {
  Object& spec = ensure_child(object, "spec");
  if (json::as_int(get(spec, "matchingPrecedence")) == 0) spec["matchingPrecedence"] = 1000;
}

void priority_level(const Kind&, Object& object) {
  Object* spec = child(object, "spec");
  Object* limited = spec ? child(*spec, "limited") : nullptr;
  if (!limited) return;
  set_default(*limited, "nominalConcurrencyShares", 30);
  set_default(*limited, "lendablePercent", 0);
  Object* response = child(*limited, "limitResponse");
  Object* queuing = response ? child(*response, "queuing") : nullptr;
  if (!queuing) return;
  set_default(*queuing, "handSize", 8);
  set_default(*queuing, "queues", 64);
  set_default(*queuing, "queueLengthLimit", 50);
}

void token_request(const Kind&, Object& object) {
  set_default(ensure_child(object, "spec"), "expirationSeconds", 3600);
}

}  // namespace

Defaulter policy_defaulter(std::string_view group, std::string_view kind) {
  struct Row {
    std::string_view group, kind;
    Defaulter f;
  };
  static constexpr Row kTable[] = {
      {"networking.k8s.io", "NetworkPolicy", network_policy},
      {"networking.k8s.io", "IngressClass", ingress_class},
      {"discovery.k8s.io", "EndpointSlice", endpoint_slice},
      {kRbac, "RoleBinding", role_binding},
      {kRbac, "ClusterRoleBinding", role_binding},
      {"scheduling.k8s.io", "PriorityClass", priority_class},
      {"storage.k8s.io", "StorageClass", storage_class},
      {"storage.k8s.io", "CSIDriver", csi_driver},
      {"admissionregistration.k8s.io", "MutatingWebhookConfiguration", webhooks},
      {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", webhooks},
      {"admissionregistration.k8s.io", "ValidatingAdmissionPolicy", admission_policy},
      {"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", admission_policy_binding},
      {"apiextensions.k8s.io", "CustomResourceDefinition", custom_resource},
      {"apiregistration.k8s.io", "APIService", api_service},
      {"flowcontrol.apiserver.k8s.io", "FlowSchema", flow_schema},
      {"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", priority_level},
      {"authentication.k8s.io", "TokenRequest", token_request},
  };
  for (const Row& row : kTable)
    if (row.group == group && row.kind == kind) return row.f;
  return nullptr;
}

}  // namespace lab::api
