// Roles for the parts of a cluster: nodes and those who join, scheduler, controller manager, DNS, delegated servers.
#include "orchestrator/apiserver/authz/policy_rules.h"

namespace lab::apiserver::authz::rows {
namespace {

constexpr std::string_view kCerts = "certificates.k8s.io", kStorage = "storage.k8s.io", kLeases = "coordination.k8s.io",
                           kRequests = "certificatesigningrequests";
constexpr const char* kJoiners = "Group:system:bootstrappers:kubeadm:default-node-token";

Rule reviews() {
  return on("create", "authorization.k8s.io", "subjectaccessreviews");
}
Rule token_reviews() {
  return on("create", "authentication.k8s.io", "tokenreviews");
}

void nodes(PolicyTable& t) {
  t.roles.push_back({"",
                     "system:node",
                     {token_reviews(),
                      on("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
                      on(kRead, "core", "services"),
                      on("create get list watch", "core", "nodes"),
                      on("patch update", "core", "nodes nodes/status"),
                      events(),
                      on(kRead, "core", "pods"),
                      on("create delete", "core", "pods"),
                      on("patch update", "core", "pods/status"),
                      on("create", "core", "pods/eviction"),
                      on(kRead, "core", "configmaps secrets"),
                      on("get", "core", "persistentvolumeclaims persistentvolumes"),
                      on("get", "core", "endpoints"),
                      on("create get list watch", kCerts, kRequests),
                      on("create delete get patch update", kLeases, "leases"),
                      on("get", kStorage, "volumeattachments"),
                      on("create", "core", "serviceaccounts/token"),
                      on("get patch update", "core", "persistentvolumeclaims/status"),
                      on(kRead, kStorage, "csidrivers"),
                      on("create delete get patch update", kStorage, "csinodes"),
                      on(kRead, "node.k8s.io", "runtimeclasses")},
                     ""});
  t.roles.push_back({"",
                     "system:node-proxier",
                     {on("list watch", "core", "endpoints services"), on(kRead, "core", "nodes"), events(),
                      on("list watch", "discovery.k8s.io", "endpointslices")},
                     ""});
  t.roles.push_back({"",
                     "system:node-problem-detector",
                     {on("get", "core", "nodes"), on("patch", "core", "nodes/status"), events()},
                     ""});
  t.roles.push_back({"",
                     "system:kubelet-api-admin",
                     {on(kRead, "core", "nodes"), on("proxy", "core", "nodes"),
                      on("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats")},
                     ""});
  t.roles.push_back({"", "system:kube-dns", {on("list watch", "core", "endpoints services")}, ""});
  t.roles.push_back({"",
                     "system:coredns",
                     {on("list watch", "core", "endpoints namespaces pods services"),
                      on("list watch", "discovery.k8s.io", "endpointslices")},
                     ""});
  // What a pod network asks that enforces NetworkPolicies.
  t.roles.push_back({"",
                     "lab:node-network",
                     {on("list watch", "core", "namespaces pods"),
                      on("list watch", "networking.k8s.io", "networkpolicies")},
                     ""});
  t.bindings.push_back({"", "system:node", "ClusterRole", "system:node", {}});
  t.bindings.push_back({"", "system:node-proxier", "ClusterRole", "system:node-proxier", {"User:system:kube-proxy"}});
  t.bindings.push_back(
      {"", "kubeadm:node-proxier", "ClusterRole", "system:node-proxier", {"ServiceAccount:kube-system/kube-proxy"}});
  t.bindings.push_back(
      {"", "system:kube-dns", "ClusterRole", "system:kube-dns", {"ServiceAccount:kube-system/kube-dns"}});
  t.bindings.push_back({"", "system:coredns", "ClusterRole", "system:coredns", {"ServiceAccount:kube-system/coredns"}});
  // The agent answers for its node's Services and DNS itself, under the node's own identity.
  t.bindings.push_back({"", "lab:node-proxier", "ClusterRole", "system:node-proxier", {"Group:system:nodes"}});
  t.bindings.push_back({"", "lab:node-dns", "ClusterRole", "system:coredns", {"Group:system:nodes"}});
  // So does the pod network, which runs under the node's identity as well.
  t.bindings.push_back({"", "lab:node-network", "ClusterRole", "lab:node-network", {"Group:system:nodes"}});
  t.bindings.push_back({"",
                        "kubeadm:kubelet-api-admin",
                        "ClusterRole",
                        "system:kubelet-api-admin",
                        {"User:kube-apiserver-kubelet-client"}});
}

// Joining with a bootstrap token: ask for a certificate, read what kubeadm leaves for joiners.
void joining(PolicyTable& t) {
  constexpr std::string_view kPrefix = "system:certificates.k8s.io:certificatesigningrequests:";
  static const std::string kNodeClient = std::string(kPrefix) + "nodeclient";
  static const std::string kSelfNodeClient = std::string(kPrefix) + "selfnodeclient";
  t.roles.push_back({"", "system:node-bootstrapper", {on("create get list watch", kCerts, kRequests)}, ""});
  t.roles.push_back({"", kNodeClient, {on("create", kCerts, "certificatesigningrequests/nodeclient")}, ""});
  t.roles.push_back({"", kSelfNodeClient, {on("create", kCerts, "certificatesigningrequests/selfnodeclient")}, ""});
  t.roles.push_back({"", "kubeadm:get-nodes", {on("get", "core", "nodes")}, ""});
  t.roles.push_back(
      {"kube-public", "kubeadm:bootstrap-signer-clusterinfo", {on("get", "core", "configmaps", "cluster-info")}, ""});
  t.roles.push_back(
      {"kube-system", "kubeadm:nodes-kubeadm-config", {on("get", "core", "configmaps", "kubeadm-config")}, ""});
  t.roles.push_back({"kube-system", "kubeadm:kubelet-config", {on("get", "core", "configmaps", "kubelet-config")}, ""});
  t.roles.push_back({"kube-system", "kube-proxy", {on("get", "core", "configmaps", "kube-proxy")}, ""});

  t.bindings.push_back({"", "kubeadm:kubelet-bootstrap", "ClusterRole", "system:node-bootstrapper", {kJoiners}});
  t.bindings.push_back({"", "kubeadm:node-autoapprove-bootstrap", "ClusterRole", kNodeClient, {kJoiners}});
  t.bindings.push_back(
      {"", "kubeadm:node-autoapprove-certificate-rotation", "ClusterRole", kSelfNodeClient, {"Group:system:nodes"}});
  t.bindings.push_back({"", "kubeadm:get-nodes", "ClusterRole", "kubeadm:get-nodes", {kJoiners}});
  t.bindings.push_back({"kube-public",
                        "kubeadm:bootstrap-signer-clusterinfo",
                        "Role",
                        "kubeadm:bootstrap-signer-clusterinfo",
                        {"User:system:anonymous"}});
  for (const char* name : {"kubeadm:nodes-kubeadm-config", "kubeadm:kubelet-config"})
    t.bindings.push_back({"kube-system", name, "Role", name, {kJoiners, "Group:system:nodes"}});
  t.bindings.push_back({"kube-system", "kube-proxy", "Role", "kube-proxy", {kJoiners}});
}

void signers(PolicyTable& t) {
  struct Row {
    const char *role, *signer;
  };
  static constexpr Row kRows[] = {
      {"system:certificates.k8s.io:kube-apiserver-client-approver", "kubernetes.io/kube-apiserver-client"},
      {"system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
       "kubernetes.io/kube-apiserver-client-kubelet"},
      {"system:certificates.k8s.io:kubelet-serving-approver", "kubernetes.io/kubelet-serving"},
      {"system:certificates.k8s.io:legacy-unknown-approver", "kubernetes.io/legacy-unknown"},
  };
  for (const auto& row : kRows) t.roles.push_back({"", row.role, {on("approve", kCerts, "signers", row.signer)}, ""});
}

void scheduler(PolicyTable& t) {
  constexpr const char* kUser = "User:system:kube-scheduler";
  t.roles.push_back(
      {"",
       "system:kube-scheduler",
       {events(), on("create", kLeases, "leases"), on("get list update watch", kLeases, "leases", "kube-scheduler"),
        on(kRead, "core", "nodes"), on("delete get list watch", "core", "pods"),
        on("create", "core", "bindings pods/binding"), on("patch update", "core", "pods/status"),
        on(kRead, "core", "replicationcontrollers services"), on(kRead, "apps extensions", "replicasets"),
        on(kRead, "apps", "statefulsets"), on(kRead, "policy", "poddisruptionbudgets"),
        on(kRead, "core", "persistentvolumeclaims persistentvolumes"), token_reviews(), reviews(),
        on(kRead, kStorage, "csidrivers csinodes csistoragecapacities"), on(kRead, "core", "namespaces"),
        on(kRead, "scheduling.k8s.io", "priorityclasses")},
       ""});
  t.roles.push_back(
      {"",
       "system:volume-scheduler",
       {on("get list patch update watch", "core", "persistentvolumes"), on(kRead, kStorage, "storageclasses"),
        on("get list patch update watch", "core", "persistentvolumeclaims")},
       ""});
  t.bindings.push_back({"", "system:kube-scheduler", "ClusterRole", "system:kube-scheduler", {kUser}});
  t.bindings.push_back({"", "system:volume-scheduler", "ClusterRole", "system:volume-scheduler", {kUser}});
}

void controller_manager(PolicyTable& t) {
  t.roles.push_back(
      {"",
       "system:kube-controller-manager",
       {events(), on("create", kLeases, "leases"), on("get update", kLeases, "leases", "kube-controller-manager"),
        on("create", "core", "secrets serviceaccounts"), on("delete", "core", "secrets"),
        on("get", "core", "configmaps namespaces secrets serviceaccounts"),
        on("update", "core", "secrets serviceaccounts"), token_reviews(), reviews(), on("list watch", "*", "*"),
        on("create", "core", "serviceaccounts/token")},
       ""});
  t.bindings.push_back({"",
                        "system:kube-controller-manager",
                        "ClusterRole",
                        "system:kube-controller-manager",
                        {"User:system:kube-controller-manager"}});
}

void delegation(PolicyTable& t) {
  t.roles.push_back({"", "system:auth-delegator", {token_reviews(), reviews()}, ""});
  t.roles.push_back({"", "system:kube-aggregator", {on(kRead, "core", "endpoints services")}, ""});
  t.roles.push_back({"",
                     "system:service-account-issuer-discovery",
                     {urls("/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks "
                           "/openid/v1/jwks/")},
                     ""});
  t.roles.push_back({"kube-system",
                     "extension-apiserver-authentication-reader",
                     {on(kRead, "core", "configmaps", "extension-apiserver-authentication")},
                     ""});
  t.roles.push_back({"",
                     "system:persistent-volume-provisioner",
                     {on("create delete get list watch", "core", "persistentvolumes"),
                      on("get list update watch", "core", "persistentvolumeclaims"),
                      on(kRead, kStorage, "storageclasses"), on("watch", "core", "events"), events()},
                     ""});
  t.bindings.push_back({"",
                        "system:service-account-issuer-discovery",
                        "ClusterRole",
                        "system:service-account-issuer-discovery",
                        {"Group:system:serviceaccounts"}});
  t.bindings.push_back({"kube-system",
                        "system::extension-apiserver-authentication-reader",
                        "Role",
                        "extension-apiserver-authentication-reader",
                        {"User:system:kube-controller-manager", "User:system:kube-scheduler"}});
}

}  // namespace

void component_roles(PolicyTable& t) {
  nodes(t);
  joining(t);
  signers(t);
  scheduler(t);
  controller_manager(t);
  delegation(t);
}

}  // namespace lab::apiserver::authz::rows
