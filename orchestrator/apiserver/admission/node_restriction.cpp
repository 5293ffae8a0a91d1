// NodeRestriction: an agent changes only its own Node, Lease and CSINode, and only Pods that run on its node. With the
// Node authorizer it keeps one captured node from taking the cluster.
#include <algorithm>
#include <array>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/authz/node.h"

namespace lab::apiserver::admission {
namespace {

using json::Value;

constexpr std::string_view kMirror = "kubernetes.io/config.mirror";

std::string quoted(std::string_view s) {
  return "\"" + std::string(s) + "\"";
}

Result<void> pod_create(const WriteContext& ctx, const Value& pod, std::string_view node) {
  std::string who = "node " + quoted(node);
  if (!json::has(pod, "metadata", "annotations", kMirror))
    return refuse(ctx, "pod does not have " + quoted(kMirror) + " annotation, " + who + " can only create mirror pods");
  if (json::str(pod, "spec", "nodeName") != node)
    return refuse(ctx, who + " can only create pods with spec.nodeName set to itself");
  for (const auto& o : json::list(pod, "metadata", "ownerReferences"))
    if (json::str(o, "kind") != "Node" || json::str(o, "name") != node)
      return refuse(ctx, who + " can only create pods with an owner reference set to itself");
  if (!json::str(pod, "spec", "serviceAccountName").empty())
    return refuse(ctx, who + " can not create pods that reference a service account");
  for (const auto& v : json::list(pod, "spec", "volumes"))
    for (const char* source : {"secret", "configMap", "persistentVolumeClaim"})
      if (json::has(v, source))
        return refuse(ctx, who + " can not create pods that reference " + std::string(source) + "s");
  return {};
}

Result<void> pods(const WriteContext& ctx, const Value* old, const Value* object, std::string_view node) {
  std::string who = "node " + quoted(node);
  if (is_create(ctx, old, object)) return pod_create(ctx, *object, node);
  bool own = old && json::str(*old, "spec", "nodeName") == node;
  if (ctx.verb == "delete" || ctx.subresource == "eviction") {
    if (!own) return refuse(ctx, who + " can only delete pods with spec.nodeName set to itself");
    return {};
  }
  if (ctx.subresource != "status") return refuse(ctx, who + " can only update pod status");
  if (!own) return refuse(ctx, who + " can only update pod status for pods with spec.nodeName set to itself");
  if (object && json::at(*old, "metadata", "labels") != json::at(*object, "metadata", "labels"))
    return refuse(ctx, who + " cannot update labels through pod status");
  return {};
}

// Labels of Kubernetes' own domains that agents may give themselves.
bool label_allowed(std::string_view key) {
  static constexpr std::array<std::string_view, 13> kAllowed{"kubernetes.io/hostname",
                                                             "kubernetes.io/os",
                                                             "kubernetes.io/arch",
                                                             "kubernetes.io/instance-type",
                                                             "beta.kubernetes.io/os",
                                                             "beta.kubernetes.io/arch",
                                                             "beta.kubernetes.io/instance-type",
                                                             "failure-domain.beta.kubernetes.io/zone",
                                                             "failure-domain.beta.kubernetes.io/region",
                                                             "failure-domain.kubernetes.io/zone",
                                                             "failure-domain.kubernetes.io/region",
                                                             "topology.kubernetes.io/zone",
                                                             "topology.kubernetes.io/region"};
  auto slash = key.find('/');
  if (slash == std::string_view::npos) return true;
  std::string_view domain = key.substr(0, slash);
  auto below = [&](std::string_view parent) {
    return domain == parent || (domain.ends_with(parent) && domain[domain.size() - parent.size() - 1] == '.');
  };
  if (below("node-restriction.kubernetes.io")) return false;
  if (!below("kubernetes.io") && !below("k8s.io")) return true;
  return below("kubelet.kubernetes.io") || below("node.kubernetes.io") ||
         std::ranges::find(kAllowed, key) != kAllowed.end();
}

std::string forbidden_labels(const Value* old, const Value& node) {
  std::vector<std::string> keys;
  const auto& before = old ? json::map(*old, "metadata", "labels") : json::empty_object();
  const auto& now = json::map(node, "metadata", "labels");
  for (const auto& [key, value] : now) {
    const auto* was = before.if_contains(key);
    if ((!was || *was != value) && !label_allowed(key)) keys.emplace_back(key);
  }
  for (const auto& [key, value] : before)
    if (!now.contains(key) && !label_allowed(key)) keys.emplace_back(key);
  std::ranges::sort(keys);
  std::string out;
  for (const auto& k : keys) out += (out.empty() ? "" : ", ") + k;
  return out;
}

Result<void> nodes(const WriteContext& ctx, const Value* old, const Value* object, std::string_view node) {
  std::string who = "node " + quoted(node);
  if (ctx.name != node) return refuse(ctx, who + " is not allowed to modify node " + quoted(ctx.name));
  if (!object) return {};
  if (auto labels = forbidden_labels(old, *object); !labels.empty())
    return refuse(ctx, who + " is not allowed to " + (old ? "modify labels: " : "set the following labels: ") + labels);
  if (!old) return {};
  if (json::at(*old, "spec", "taints") != json::at(*object, "spec", "taints"))
    return refuse(ctx, who + " is not allowed to modify taints");
  if (json::at(*old, "metadata", "ownerReferences") != json::at(*object, "metadata", "ownerReferences"))
    return refuse(ctx, who + " is not allowed to modify ownerReferences");
  return {};
}

}  // namespace

Result<void> node_restriction(WriteContext& ctx, const Value* old, Value* object) {
  std::string_view node = authz::node_name(ctx.user);
  if (node.empty()) return {};
  if (is(ctx, "", "pods")) return pods(ctx, old, object, node);
  if (is(ctx, "", "nodes")) return nodes(ctx, old, object, node);
  if (is(ctx, "coordination.k8s.io", "leases")) {
    if (ctx.ns != "kube-node-lease")
      return refuse(ctx, "can only access leases in the \"kube-node-lease\" system namespace");
    if (ctx.name != node) return refuse(ctx, "can only access node lease with the same name as the requesting node");
  }
  if (is(ctx, "storage.k8s.io", "csinodes") && ctx.name != node)
    return refuse(ctx, "can only access CSINode with the same name as the requesting node");
  return {};
}

}  // namespace lab::apiserver::admission
