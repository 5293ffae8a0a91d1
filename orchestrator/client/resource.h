// Resource: group, version and plural of a kind, as they stand in URLs. The constants are those our own clients use.
#pragma once

#include <string_view>

namespace lab::client {

struct Resource {
  std::string_view group;  // "" for core
  std::string_view version;
  std::string_view plural;
  std::string_view kind;
  bool namespaced = true;
  bool operator==(const Resource&) const = default;
};

namespace res {
inline constexpr Resource pods{"", "v1", "pods", "Pod"};
inline constexpr Resource nodes{"", "v1", "nodes", "Node", false};
inline constexpr Resource services{"", "v1", "services", "Service"};
inline constexpr Resource endpoints{"", "v1", "endpoints", "Endpoints"};
inline constexpr Resource namespaces{"", "v1", "namespaces", "Namespace", false};
inline constexpr Resource configmaps{"", "v1", "configmaps", "ConfigMap"};
inline constexpr Resource secrets{"", "v1", "secrets", "Secret"};
inline constexpr Resource serviceaccounts{"", "v1", "serviceaccounts", "ServiceAccount"};
inline constexpr Resource events{"", "v1", "events", "Event"};
inline constexpr Resource replicationcontrollers{"", "v1", "replicationcontrollers", "ReplicationController"};
inline constexpr Resource persistentvolumeclaims{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"};
inline constexpr Resource deployments{"apps", "v1", "deployments", "Deployment"};
inline constexpr Resource replicasets{"apps", "v1", "replicasets", "ReplicaSet"};
inline constexpr Resource daemonsets{"apps", "v1", "daemonsets", "DaemonSet"};
inline constexpr Resource statefulsets{"apps", "v1", "statefulsets", "StatefulSet"};
inline constexpr Resource controllerrevisions{"apps", "v1", "controllerrevisions", "ControllerRevision"};
inline constexpr Resource jobs{"batch", "v1", "jobs", "Job"};
inline constexpr Resource endpointslices{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"};
inline constexpr Resource leases{"coordination.k8s.io", "v1", "leases", "Lease"};
inline constexpr Resource poddisruptionbudgets{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"};
inline constexpr Resource networkpolicies{"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"};
inline constexpr Resource ingresses{"networking.k8s.io", "v1", "ingresses", "Ingress"};
inline constexpr Resource roles{"rbac.authorization.k8s.io", "v1", "roles", "Role"};
inline constexpr Resource rolebindings{"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"};
inline constexpr Resource clusterroles{"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false};
inline constexpr Resource clusterrolebindings{"rbac.authorization.k8s.io", "v1", "clusterrolebindings",
                                              "ClusterRoleBinding", false};
inline constexpr Resource certificatesigningrequests{"certificates.k8s.io", "v1", "certificatesigningrequests",
                                                     "CertificateSigningRequest", false};
inline constexpr Resource subjectaccessreviews{"authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview",
                                                false};
inline constexpr Resource cronjobs{"batch", "v1", "cronjobs", "CronJob"};
inline constexpr Resource persistentvolumes{"", "v1", "persistentvolumes", "PersistentVolume", false};
inline constexpr Resource priorityclasses{"scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false};
}  // namespace res

}  // namespace lab::client
