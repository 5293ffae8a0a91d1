// Roles of the controllers, one each: system:controller:NAME, bound to ServiceAccount kube-system/NAME and to
// system:kube-controller-manager, as which they run together in one process.
#include "orchestrator/apiserver/authz/policy_rules.h"

namespace lab::apiserver::authz::rows {
namespace {

struct ControllerRow {
  const char* name;
  std::vector<Rule> rules;  // writing Events goes without saying
};

std::vector<ControllerRow> workloads() {
  return {
      {"deployment-controller",
       {on("get list update watch", "apps extensions", "deployments"),
        on("update", "apps extensions", "deployments/finalizers deployments/status"),
        on("create delete get list patch update watch", "apps extensions", "replicasets"),
        on("get list update watch", "core", "pods")}},
      {"replicaset-controller",
       {on("get list update watch", "apps extensions", "replicasets"),
        on("update", "apps extensions", "replicasets/finalizers replicasets/status"),
        on("create delete list patch watch", "core", "pods")}},
      {"replication-controller",
       {on("get list update watch", "core", "replicationcontrollers"),
        on("update", "core", "replicationcontrollers/finalizers replicationcontrollers/status"),
        on("create delete list patch watch", "core", "pods")}},
      {"daemon-set-controller",
       {on(kRead, "apps extensions", "daemonsets"),
        on("update", "apps extensions", "daemonsets/finalizers daemonsets/status"), on("list watch", "core", "nodes"),
        on("create delete list patch watch", "core", "pods"), on("create", "core", "pods/binding"),
        on("create delete get list patch update watch", "apps", "controllerrevisions")}},
      {"statefulset-controller",
       {on("list watch", "core", "pods"), on(kRead, "apps", "statefulsets"),
        on("update", "apps", "statefulsets/finalizers statefulsets/status"),
        on("create delete get patch update", "core", "pods"),
        on("create delete get list patch update watch", "apps", "controllerrevisions"),
        on("create delete get list patch update watch", "core", "persistentvolumeclaims")}},
      {"job-controller",
       {on("get list patch update watch", "batch", "jobs"), on("update", "batch", "jobs/finalizers jobs/status"),
        on("create delete list patch watch", "core", "pods")}},
      {"cronjob-controller",
       {on("get list update watch", "batch", "cronjobs"),
        on("create delete get list patch update watch", "batch", "jobs"),
        on("update", "batch", "cronjobs/finalizers cronjobs/status"), on("delete list", "core", "pods")}},
      {"ttl-after-finished-controller", {on("delete get list watch", "batch", "jobs")}},
      {"disruption-controller",
       {on(kRead, "apps extensions", "deployments"), on(kRead, "apps extensions", "replicasets"),
        on(kRead, "core", "replicationcontrollers"), on(kRead, "policy", "poddisruptionbudgets"),
        on(kRead, "apps", "statefulsets"), on("update", "policy", "poddisruptionbudgets/status"),
        on(kRead, "core", "pods"), on("patch update", "core", "pods/status"), on("get", "*", "*/scale")}},
      {"horizontal-pod-autoscaler",
       {on(kRead, "autoscaling", "horizontalpodautoscalers"),
        on("update", "autoscaling", "horizontalpodautoscalers/status"), on("get update", "*", "*/scale"),
        on("list", "core", "pods"), on("list", "metrics.k8s.io", "pods"),
        on("get list", "custom.metrics.k8s.io external.metrics.k8s.io", "*")}},
  };
}

std::vector<ControllerRow> services() {
  return {
      {"endpoint-controller",
       {on(kRead, "core", "pods services"), on("create delete get list update", "core", "endpoints"),
        on("create", "core", "endpoints/restricted")}},
      {"endpointslice-controller",
       {on(kRead, "core", "nodes pods services"), on("update", "core", "services/finalizers"),
        on("create delete get list update", "discovery.k8s.io", "endpointslices"),
        on("create", "discovery.k8s.io", "endpointslices/restricted")}},
      {"endpointslicemirroring-controller",
       {on(kRead, "core", "endpoints services"), on("update", "core", "services/finalizers endpoints/finalizers"),
        on("create delete get list update", "discovery.k8s.io", "endpointslices"),
        on("create", "discovery.k8s.io", "endpointslices/restricted")}},
      {"service-controller",
       {on(kRead, "core", "services"), on("patch update", "core", "services/status"),
        on("list watch", "core", "nodes")}},
  };
}

std::vector<ControllerRow> cluster() {
  return {
      {"namespace-controller",
       {on("delete get list watch", "core", "namespaces"),
        on("update", "core", "namespaces/finalize namespaces/status"),
        on("delete deletecollection get list", "*", "*")}},
      {"generic-garbage-collector", {on("delete get list patch update watch", "*", "*")}},
      {"node-controller",
       {on("delete get list patch update", "core", "nodes"), on("patch update", "core", "nodes/status"),
        on("patch update", "core", "pods/status"), on("delete get list", "core", "pods"),
        on("create", "core", "pods/eviction"), on("get list watch update", "networking.k8s.io", "clustercidrs")}},
      {"node-ipam-controller",
       {on("get list patch update watch", "core", "nodes"), on("patch update", "core", "nodes/status")}},
      {"pod-garbage-collector",
       {on("delete list watch", "core", "pods"), on("get list", "core", "nodes"), on("patch", "core", "pods/status")}},
      {"ttl-controller", {on("list patch update watch", "core", "nodes")}},
      {"resourcequota-controller", {on("list watch", "*", "*"), on("update", "core", "resourcequotas/status")}},
      {"clusterrole-aggregation-controller",
       {on("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles")}},
      {"service-account-controller", {on("create", "core", "serviceaccounts")}},
      {"service-account-token-controller",
       {on("create delete get list update watch", "core", "secrets"),
        on("get list update watch", "core", "serviceaccounts")}},
      {"root-ca-cert-publisher", {on("create update", "core", "configmaps")}},
      {"certificate-controller",
       {on("delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
        on("update", "certificates.k8s.io", "certificatesigningrequests/approval certificatesigningrequests/status"),
        on("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
        on("sign", "certificates.k8s.io", "signers",
           "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
           "kubernetes.io/kubelet-serving "
           "kubernetes.io/legacy-unknown"),
        on("create", "authorization.k8s.io", "subjectaccessreviews")}},
  };
}

std::vector<ControllerRow> volumes() {
  return {
      {"persistent-volume-binder",
       {on("create delete get list update watch", "core", "persistentvolumes"),
        on("update", "core", "persistentvolumes/status"), on("get list update watch", "core", "persistentvolumeclaims"),
        on("update", "core", "persistentvolumeclaims/status"), on("create delete get list watch", "core", "pods"),
        on(kRead, "storage.k8s.io", "storageclasses"), on("get list", "core", "nodes")}},
      {"pv-protection-controller", {on("get list update watch", "core", "persistentvolumes")}},
      {"pvc-protection-controller",
       {on("get list update watch", "core", "persistentvolumeclaims"), on(kRead, "core", "pods")}},
      {"ephemeral-volume-controller",
       {on(kRead, "core", "pods"), on("update", "core", "pods/finalizers"),
        on("create get list watch", "core", "persistentvolumeclaims")}},
      {"attachdetach-controller",
       {on("list watch", "core", "persistentvolumeclaims persistentvolumes pods"), on(kRead, "core", "nodes"),
        on("patch update", "core", "nodes/status"),
        on("create delete get list watch", "storage.k8s.io", "volumeattachments"),
        on(kRead, "storage.k8s.io", "csidrivers csinodes")}},
      {"expand-controller",
       {on("get list patch update watch", "core", "persistentvolumes"),
        on("patch update", "core", "persistentvolumeclaims/status"), on(kRead, "core", "persistentvolumeclaims")}},
  };
}

// Signing cluster-info for joining nodes and removing expired tokens reach into two namespaces only.
void token_roles(PolicyTable& t) {
  t.roles.push_back({"kube-system", "system:controller:bootstrap-signer", {on(kRead, "core", "secrets")}, ""});
  t.roles.push_back({"kube-public",
                     "system:controller:bootstrap-signer",
                     {on(kRead, "core", "configmaps"), on("update", "core", "configmaps", "cluster-info"), events()},
                     ""});
  t.roles.push_back({"kube-system",
                     "system:controller:token-cleaner",
                     {on("delete get list watch", "core", "secrets"), events()},
                     ""});
  struct Row {
    const char *ns, *name, *account;
  };
  static constexpr Row kRows[] = {
      {"kube-system", "system:controller:bootstrap-signer", "ServiceAccount:kube-system/bootstrap-signer"},
      {"kube-public", "system:controller:bootstrap-signer", "ServiceAccount:kube-system/bootstrap-signer"},
      {"kube-system", "system:controller:token-cleaner", "ServiceAccount:kube-system/token-cleaner"},
  };
  for (const auto& row : kRows)
    t.bindings.push_back({row.ns, row.name, "Role", row.name, {row.account, "User:system:kube-controller-manager"}});
}

}  // namespace

void controller_roles(PolicyTable& t) {
  static std::vector<ControllerRow> rows = [] {
    std::vector<ControllerRow> all;
    for (auto part : {workloads(), services(), cluster(), volumes()})
      for (auto& row : part) all.push_back(std::move(row));
    return all;
  }();
  static std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& row : rows) out.push_back("system:controller:" + std::string(row.name));
    return out;
  }();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto rules = rows[i].rules;
    rules.push_back(events());
    t.roles.push_back({"", names[i], std::move(rules), ""});
    t.bindings.push_back(
        {"",
         names[i],
         "ClusterRole",
         names[i],
         {"ServiceAccount:kube-system/" + std::string(rows[i].name), "User:system:kube-controller-manager"}});
  }
  token_roles(t);
}

}  // namespace lab::apiserver::authz::rows
