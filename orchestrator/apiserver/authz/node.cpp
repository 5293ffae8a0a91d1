#include "orchestrator/apiserver/authz/node.h"

#include <algorithm>

#include "orchestrator/apiserver/authz/policy.h"

namespace lab::apiserver::authz {
namespace {

using json::Value;

constexpr std::string_view kLeaseNamespace = "kube-node-lease";

bool one_of(std::string_view s, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, s) != list.end();
}

Decision no_opinion(std::string reason) {
  return {Decision::kNoOpinion, std::move(reason)};
}
Decision allow() {
  return {Decision::kAllow, {}};
}

// Env and envFrom of one container.
bool container_references(const Value& c, const char* env_key, const char* env_from_key, std::string_view name) {
  for (const auto& e : json::list(c, "env"))
    if (json::str(e, "valueFrom", env_key, "name") == name) return true;
  for (const auto& e : json::list(c, "envFrom"))
    if (json::str(e, env_from_key, "name") == name) return true;
  return false;
}

bool containers_reference(const Value& pod, const char* env_key, const char* env_from_key, std::string_view name) {
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    for (const auto& c : json::list(pod, "spec", list))
      if (container_references(c, env_key, env_from_key, name)) return true;
  return false;
}

bool volume_references_secret(const Value& volume, std::string_view name) {
  if (json::str(volume, "secret", "secretName") == name) return true;
  for (const auto& s : json::list(volume, "projected", "sources"))
    if (json::str(s, "secret", "name") == name) return true;
  // Network volumes name a Secret of the pod's namespace in secretRef.name, CSI in nodePublishSecretRef.name.
  for (const auto& [source, body] : json::as_object(volume))
    if (json::str(body, "secretRef", "name") == name || json::str(body, "nodePublishSecretRef", "name") == name)
      return true;
  return json::str(volume, "azureFile", "secretName") == name;
}

bool volume_references_configmap(const Value& volume, std::string_view name) {
  if (json::str(volume, "configMap", "name") == name) return true;
  for (const auto& s : json::list(volume, "projected", "sources"))
    if (json::str(s, "configMap", "name") == name) return true;
  return false;
}

bool references_secret(const Value& pod, std::string_view name) {
  for (const auto& s : json::list(pod, "spec", "imagePullSecrets"))
    if (json::str(s, "name") == name) return true;
  for (const auto& v : json::list(pod, "spec", "volumes"))
    if (volume_references_secret(v, name)) return true;
  return containers_reference(pod, "secretKeyRef", "secretRef", name);
}

bool references_configmap(const Value& pod, std::string_view name) {
  for (const auto& v : json::list(pod, "spec", "volumes"))
    if (volume_references_configmap(v, name)) return true;
  return containers_reference(pod, "configMapKeyRef", "configMapRef", name);
}

bool references_claim(const Value& pod, std::string_view name) {
  for (const auto& v : json::list(pod, "spec", "volumes")) {
    if (json::str(v, "persistentVolumeClaim", "claimName") == name) return true;
    // A generic ephemeral volume's claim is named POD-VOLUME.
    if (json::has(v, "ephemeral") &&
        std::string(json::str(pod, "metadata", "name")) + "-" + std::string(json::str(v, "name")) == name)
      return true;
  }
  return false;
}

}  // namespace

std::string_view node_name(const Identity& user) {
  std::string_view name = user.username;
  if (!name.starts_with(kNodeUserPrefix) || !user.in_group(kNodesGroup)) return {};
  return name.substr(kNodeUserPrefix.size());
}

bool pod_references(const Value& pod, std::string_view resource, std::string_view name) {
  if (resource == "secrets") return references_secret(pod, name);
  if (resource == "configmaps") return references_configmap(pod, name);
  if (resource == "persistentvolumeclaims") return references_claim(pod, name);
  if (resource == "serviceaccounts") return json::str(pod, "spec", "serviceAccountName") == name;
  return false;
}

NodeAuthorizer::NodeAuthorizer(const ObjectReader& reader)
    : reader_(reader),
      rules_(cluster_role_rules("system:node")),
      volumes_(api::find_kind("", "v1", "persistentvolumes")) {}

bool NodeAuthorizer::used_by_pod(std::string_view node, std::string_view ns, std::string_view resource,
                                 std::string_view name) const {
  return std::ranges::any_of(reader_.pods_of_node(node, ns),
                             [&](const ObjectPtr& pod) { return pod_references(*pod, resource, name); });
}

bool NodeAuthorizer::volume_used(std::string_view node, std::string_view volume) const {
  auto pv = reader_.get(*volumes_, {}, volume);
  return pv && json::has(*pv, "spec", "claimRef") &&
         used_by_pod(node, json::str(*pv, "spec", "claimRef", "namespace"), "persistentvolumeclaims",
                     json::str(*pv, "spec", "claimRef", "name"));
}

Decision NodeAuthorizer::by_relation(const Attributes& a, std::string_view node) const {
  bool reading = one_of(a.verb, {"get", "list", "watch"});
  if (a.resource == "serviceaccounts") {
    if (a.verb != "create" || a.subresource != "token")
      return no_opinion("can only create tokens for individual service accounts");
  } else if (a.resource == "persistentvolumeclaims" && a.subresource == "status") {
    if (!one_of(a.verb, {"get", "update", "patch"})) return no_opinion("can only get/update/patch this type");
  } else if (!reading || !a.subresource.empty()) {
    return no_opinion("can only read resources of this type");
  } else if (a.verb != "get" && !one_of(a.resource, {"secrets", "configmaps"})) {
    return no_opinion("can only get individual resources of this type");
  }
  if (a.name.empty()) return no_opinion("No Object name found");
  bool related = a.resource == "persistentvolumes" ? volume_used(node, a.name)
                                                   : !a.ns.empty() && used_by_pod(node, a.ns, a.resource, a.name);
  if (related) return allow();
  return no_opinion("no relationship found between node '" + std::string(node) + "' and this object");
}

Decision NodeAuthorizer::own_lease(const Attributes& a, std::string_view node) const {
  if (!one_of(a.verb, {"get", "create", "update", "patch", "delete"}))
    return no_opinion("can only get, create, update, patch, or delete a node lease");
  if (a.ns != kLeaseNamespace)
    return no_opinion("can only access leases in the \"" + std::string(kLeaseNamespace) + "\" system namespace");
  // The name of a create is in its body: NodeRestriction looks at that.
  if (a.verb != "create" && a.name != node)
    return no_opinion("can only access node lease with the same name as the requesting node");
  return allow();
}

Decision NodeAuthorizer::own_csinode(const Attributes& a, std::string_view node) const {
  if (!a.subresource.empty()) return no_opinion("cannot authorize CSINode subresources");
  if (!one_of(a.verb, {"get", "create", "update", "patch", "delete"}))
    return no_opinion("can only get, create, update, patch, or delete a CSINode");
  if (a.verb != "create" && a.name != node)
    return no_opinion("can only access CSINode with the same name as the requesting node");
  return allow();
}

Decision NodeAuthorizer::authorize(const Attributes& a, bool) const {
  std::string_view node = node_name(*a.user);
  if (node.empty()) return {};
  if (a.resource_request) {
    if (a.group.empty() && one_of(a.resource, {"secrets", "configmaps", "persistentvolumeclaims", "persistentvolumes"}))
      return by_relation(a, node);
    if (a.group.empty() && a.resource == "serviceaccounts" && a.subresource == "token") return by_relation(a, node);
    if (a.group == "coordination.k8s.io" && a.resource == "leases") return own_lease(a, node);
    if (a.group == "storage.k8s.io" && a.resource == "csinodes") return own_csinode(a, node);
  }
  for (const auto& rule : rules_)
    if (rule.allows(a)) return allow();
  return {};
}

RuleSet NodeAuthorizer::rules_for(const Identity& user, std::string_view) const {
  RuleSet out;
  if (node_name(user).empty()) return out;
  for (const auto& r : rules_)
    if (!r.resources.empty()) out.resources.push_back({r.verbs, r.groups, r.resources, r.names});
  // What depends on the pods of a node cannot be listed as rules.
  out.incomplete = true;
  out.evaluation_error = "node authorizer does not support user rule resolution";
  return out;
}

}  // namespace lab::apiserver::authz
