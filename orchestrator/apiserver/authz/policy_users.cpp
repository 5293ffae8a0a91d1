// Roles for people: cluster-admin, admin, edit, view, and what everybody may know.
#include "orchestrator/apiserver/authz/policy_rules.h"

namespace lab::apiserver::authz::rows {
namespace {

RoleRow view() {
  return {"",
          "system:aggregate-to-view",
          {on(kRead, "core",
              "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
              "replicationcontrollers/scale serviceaccounts services services/status"),
           on(kRead, "core",
              "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
              "resourcequotas resourcequotas/status"),
           on(kRead, "core", "namespaces"), on(kRead, "discovery.k8s.io", "endpointslices"),
           on(kRead, "apps",
              "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status "
              "replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status"),
           on(kRead, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
           on(kRead, "batch", "cronjobs cronjobs/status jobs jobs/status"),
           on(kRead, "extensions",
              "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses "
              "ingresses/status networkpolicies replicasets replicasets/scale replicasets/status "
              "replicationcontrollers/scale"),
           on(kRead, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
           on(kRead, "networking.k8s.io", "ingresses ingresses/status networkpolicies")},
          "view"};
}

RoleRow edit() {
  return {
      "",
      "system:aggregate-to-edit",
      {on(kRead, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
       on("impersonate", "core", "serviceaccounts"),
       on(kWrite, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
       on("create", "core", "pods/eviction"),
       on(kWrite, "core",
          "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
          "serviceaccounts services services/proxy"),
       on("create", "core", "serviceaccounts/token"),
       on(kWrite, "apps",
          "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
          "statefulsets/scale"),
       on(kWrite, "autoscaling", "horizontalpodautoscalers"), on(kWrite, "batch", "cronjobs jobs"),
       on(kWrite, "extensions",
          "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets "
          "replicasets/scale replicationcontrollers/scale"),
       on(kWrite, "policy", "poddisruptionbudgets"), on(kWrite, "networking.k8s.io", "ingresses networkpolicies"),
       on(kReadWrite, "coordination.k8s.io", "leases")},
      "edit"};
}

}  // namespace

void user_roles(PolicyTable& t) {
  t.roles.push_back({"", "cluster-admin", {on("*", "*", "*"), Rule{{"*"}, {}, {}, {}, {"*"}}}, ""});
  t.roles.push_back({"",
                     "system:discovery",
                     {urls("/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")},
                     ""});
  t.roles.push_back({"", "system:public-info-viewer", {urls("/healthz /livez /readyz /version /version/")}, ""});
  t.roles.push_back({"",
                     "system:monitoring",
                     {urls("/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")},
                     ""});
  t.roles.push_back({"",
                     "system:basic-user",
                     {on("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
                      on("create", "authentication.k8s.io", "selfsubjectreviews")},
                     ""});
  t.roles.push_back({"", "admin", {}, "", true});
  t.roles.push_back({"", "edit", {}, "admin", true});
  t.roles.push_back({"", "view", {}, "edit", true});
  t.roles.push_back({"",
                     "system:aggregate-to-admin",
                     {on("create", "authorization.k8s.io", "localsubjectaccessreviews"),
                      on(kReadWrite, "rbac.authorization.k8s.io", "rolebindings roles")},
                     "admin"});
  t.roles.push_back(edit());
  t.roles.push_back(view());
  // metrics-server brings this one along; here its API is built in.
  t.roles.push_back({"", "system:aggregated-metrics-reader", {on(kRead, "metrics.k8s.io", "nodes pods")}, "view"});

  t.bindings.push_back({"", "cluster-admin", "ClusterRole", "cluster-admin", {"Group:system:masters"}});
  t.bindings.push_back(
      {"", "kubeadm:cluster-admins", "ClusterRole", "cluster-admin", {"Group:kubeadm:cluster-admins"}});
  t.bindings.push_back({"", "system:discovery", "ClusterRole", "system:discovery", {"Group:system:authenticated"}});
  t.bindings.push_back({"", "system:basic-user", "ClusterRole", "system:basic-user", {"Group:system:authenticated"}});
  t.bindings.push_back({"", "system:monitoring", "ClusterRole", "system:monitoring", {"Group:system:monitoring"}});
  t.bindings.push_back({"",
                        "system:public-info-viewer",
                        "ClusterRole",
                        "system:public-info-viewer",
                        {"Group:system:authenticated", "Group:system:unauthenticated"}});
}

}  // namespace lab::apiserver::authz::rows
