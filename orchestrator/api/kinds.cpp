// The table of built-in kinds: to add a kind, add its row.
#include <map>
#include <sstream>
#include <tuple>

#include "orchestrator/api/kind.h"

namespace lab::api {
namespace {

enum Flag : unsigned {
  kNone = 0,
  kCluster = 1,         // cluster-scoped
  kStatus = 2,          // has /status
  kScale = 4,           // has /scale
  kGeneration = 8,      // metadata.generation counts changes of the spec
  kAll = 16,            // in category "all"
  kExtension = 32,      // in category "api-extensions"
  kVirtual = 64,        // created and answered, never stored
  kNoCollection = 128,  // no deletecollection
  kMeasured = 256       // read only, made up on request, never stored
};

struct Row {
  const char* kind;
  const char* plural;
  unsigned flags;
  const char* short_names = "";  // space-separated, as all lists here
  const char* fields = "";       // selectable fields
  const char* storage = "";      // below /registry/ where it is not the plural
};

struct GroupVersion {
  const char* group;
  const char* version;
  const char* schema;  // package of the schema's types
  std::vector<Row> rows;
};

// Groups in kube-apiserver's order of discovery, the preferred version first; rows by plural.
const std::vector<GroupVersion>& table() {
  static const std::vector<GroupVersion> groups = {
      {"",
       "v1",
       "k8s.io.api.core.v1",
       {
           {"Binding", "bindings", kVirtual},
           {"ConfigMap", "configmaps", kNone, "cm"},
           {"Endpoints", "endpoints", kNone, "ep", "", "services/endpoints"},
           {"Event", "events", kNone, "ev",
            "involvedObject.kind involvedObject.namespace involvedObject.name involvedObject.uid "
            "involvedObject.apiVersion involvedObject.resourceVersion involvedObject.fieldPath reason "
            "reportingComponent source type"},
           {"LimitRange", "limitranges", kNone, "limits"},
           {"Namespace", "namespaces", kCluster | kStatus | kNoCollection, "ns", "status.phase"},
           {"Node", "nodes", kCluster | kStatus, "no", "spec.unschedulable", "minions"},
           {"PersistentVolumeClaim", "persistentvolumeclaims", kStatus, "pvc"},
           {"PersistentVolume", "persistentvolumes", kCluster | kStatus, "pv"},
           {"Pod", "pods", kStatus | kGeneration | kAll, "po",
            "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName spec.hostNetwork "
            "status.phase status.podIP status.podIPs status.nominatedNodeName"},
           {"PodTemplate", "podtemplates", kGeneration},
           {"ReplicationController", "replicationcontrollers", kStatus | kScale | kGeneration | kAll, "rc",
            "status.replicas", "controllers"},
           {"ResourceQuota", "resourcequotas", kStatus, "quota"},
           {"Secret", "secrets", kNone, "", "type"},
           {"ServiceAccount", "serviceaccounts", kNone, "sa"},
           {"Service", "services", kStatus | kAll, "svc", "spec.clusterIP spec.type", "services/specs"},
       }},
      {"apiregistration.k8s.io",
       "v1",
       "k8s.io.kube_aggregator.pkg.apis.apiregistration.v1",
       {{"APIService", "apiservices", kCluster | kStatus | kExtension}}},
      {"apps",
       "v1",
       "k8s.io.api.apps.v1",
       {
           {"ControllerRevision", "controllerrevisions", kNone},
           {"DaemonSet", "daemonsets", kStatus | kGeneration | kAll, "ds"},
           {"Deployment", "deployments", kStatus | kScale | kGeneration | kAll, "deploy"},
           {"ReplicaSet", "replicasets", kStatus | kScale | kGeneration | kAll, "rs", "status.replicas"},
           {"StatefulSet", "statefulsets", kStatus | kScale | kGeneration | kAll, "sts"},
       }},
      {"events.k8s.io",
       "v1",
       "k8s.io.api.events.v1",
       {
           {"Event", "events", kNone, "ev",
            "regarding.kind regarding.namespace regarding.name regarding.uid regarding.apiVersion "
            "regarding.resourceVersion regarding.fieldPath reason reportingController type"},
       }},
      {"authentication.k8s.io",
       "v1",
       "k8s.io.api.authentication.v1",
       {
           {"SelfSubjectReview", "selfsubjectreviews", kCluster | kVirtual},
           {"TokenReview", "tokenreviews", kCluster | kVirtual},
       }},
      {"authorization.k8s.io",
       "v1",
       "k8s.io.api.authorization.v1",
       {
           {"LocalSubjectAccessReview", "localsubjectaccessreviews", kVirtual},
           {"SelfSubjectAccessReview", "selfsubjectaccessreviews", kCluster | kVirtual},
           {"SelfSubjectRulesReview", "selfsubjectrulesreviews", kCluster | kVirtual},
           {"SubjectAccessReview", "subjectaccessreviews", kCluster | kVirtual},
       }},
      {"autoscaling",
       "v2",
       "k8s.io.api.autoscaling.v2",
       {{"HorizontalPodAutoscaler", "horizontalpodautoscalers", kStatus | kAll, "hpa"}}},
      {"autoscaling",
       "v1",
       "k8s.io.api.autoscaling.v1",
       {{"HorizontalPodAutoscaler", "horizontalpodautoscalers", kStatus | kAll, "hpa"}}},
      {"batch",
       "v1",
       "k8s.io.api.batch.v1",
       {
           {"CronJob", "cronjobs", kStatus | kGeneration | kAll, "cj"},
           {"Job", "jobs", kStatus | kGeneration | kAll, "", "status.successful"},
       }},
      {"certificates.k8s.io",
       "v1",
       "k8s.io.api.certificates.v1",
       {{"CertificateSigningRequest", "certificatesigningrequests", kCluster | kStatus, "csr", "spec.signerName"}}},
      {"networking.k8s.io",
       "v1",
       "k8s.io.api.networking.v1",
       {
           {"IngressClass", "ingressclasses", kCluster | kGeneration},
           {"Ingress", "ingresses", kStatus | kGeneration, "ing", "", "ingress"},
           {"IPAddress", "ipaddresses", kCluster, "ip", "spec.parentRef.name"},
           {"NetworkPolicy", "networkpolicies", kGeneration, "netpol"},
           {"ServiceCIDR", "servicecidrs", kCluster | kStatus},
       }},
      {"policy",
       "v1",
       "k8s.io.api.policy.v1",
       {{"PodDisruptionBudget", "poddisruptionbudgets", kStatus | kGeneration, "pdb"}}},
      {"rbac.authorization.k8s.io",
       "v1",
       "k8s.io.api.rbac.v1",
       {
           {"ClusterRoleBinding", "clusterrolebindings", kCluster},
           {"ClusterRole", "clusterroles", kCluster},
           {"RoleBinding", "rolebindings", kNone},
           {"Role", "roles", kNone},
       }},
      {"storage.k8s.io",
       "v1",
       "k8s.io.api.storage.v1",
       {
           {"CSIDriver", "csidrivers", kCluster | kGeneration},
           {"CSINode", "csinodes", kCluster},
           {"CSIStorageCapacity", "csistoragecapacities", kNone},
           {"StorageClass", "storageclasses", kCluster, "sc"},
           {"VolumeAttachment", "volumeattachments", kCluster | kStatus},
           {"VolumeAttributesClass", "volumeattributesclasses", kCluster, "vac"},
       }},
      {"admissionregistration.k8s.io",
       "v1",
       "k8s.io.api.admissionregistration.v1",
       {
           {"MutatingAdmissionPolicy", "mutatingadmissionpolicies", kCluster | kGeneration | kExtension},
           {"MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", kCluster | kGeneration | kExtension},
           {"MutatingWebhookConfiguration", "mutatingwebhookconfigurations", kCluster | kGeneration | kExtension},
           {"ValidatingAdmissionPolicy", "validatingadmissionpolicies", kCluster | kStatus | kGeneration | kExtension},
           {"ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings",
            kCluster | kGeneration | kExtension},
           {"ValidatingWebhookConfiguration", "validatingwebhookconfigurations", kCluster | kGeneration | kExtension},
       }},
      {"apiextensions.k8s.io",
       "v1",
       "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1",
       {{"CustomResourceDefinition", "customresourcedefinitions", kCluster | kStatus | kGeneration | kExtension,
         "crd crds"}}},
      {"scheduling.k8s.io",
       "v1",
       "k8s.io.api.scheduling.v1",
       {{"PriorityClass", "priorityclasses", kCluster | kGeneration, "pc"}}},
      {"coordination.k8s.io", "v1", "k8s.io.api.coordination.v1", {{"Lease", "leases", kNone}}},
      {"node.k8s.io", "v1", "k8s.io.api.node.v1", {{"RuntimeClass", "runtimeclasses", kCluster}}},
      {"discovery.k8s.io", "v1", "k8s.io.api.discovery.v1", {{"EndpointSlice", "endpointslices", kGeneration}}},
      {"flowcontrol.apiserver.k8s.io",
       "v1",
       "k8s.io.api.flowcontrol.v1",
       {
           {"FlowSchema", "flowschemas", kCluster | kStatus | kGeneration},
           {"PriorityLevelConfiguration", "prioritylevelconfigurations", kCluster | kStatus | kGeneration},
       }},
      {"resource.k8s.io",
       "v1",
       "k8s.io.api.resource.v1",
       {
           {"DeviceClass", "deviceclasses", kCluster | kGeneration},
           {"ResourceClaim", "resourceclaims", kStatus},
           {"ResourceClaimTemplate", "resourceclaimtemplates", kNone},
           {"ResourceSlice", "resourceslices", kCluster | kGeneration, "", "spec.nodeName spec.driver"},
       }},
      // Last: kubectl takes `pods` and `nodes` for those of the first group that has them.
      {"metrics.k8s.io",
       "v1beta1",
       "k8s.io.metrics.pkg.apis.metrics.v1beta1",
       {
           {"NodeMetrics", "nodes", kCluster | kMeasured},
           {"PodMetrics", "pods", kMeasured},
       }},
  };
  return groups;
}

std::vector<std::string> words(const char* text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

KindPtr kind_of(const GroupVersion& gv, const Row& row) {
  auto k = std::make_shared<Kind>();
  k->group = gv.group;
  k->version = gv.version;
  k->kind = row.kind;
  k->plural = row.plural;
  k->singular = row.kind;
  for (char& c : k->singular)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  k->short_names = words(row.short_names);
  if (row.flags & kAll) k->categories = {"all"};
  if (row.flags & kExtension) k->categories = {"api-extensions"};
  k->namespaced = !(row.flags & kCluster);
  k->status = row.flags & kStatus;
  k->scale = row.flags & kScale;
  k->generation = row.flags & kGeneration;
  k->virtual_kind = row.flags & (kVirtual | kMeasured);
  if (row.flags & kMeasured) {
    k->verbs = {"get", "list"};
  } else if (k->virtual_kind) {
    k->verbs = {"create"};
  } else if (row.flags & kNoCollection) {
    k->verbs = {"create", "delete", "get", "list", "patch", "update", "watch"};
  } else {
    k->verbs = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
  }
  k->schema = std::string(gv.schema) + "." + row.kind;
  if (!k->virtual_kind) k->storage_prefix = std::string("/registry/") + (*row.storage ? row.storage : row.plural) + "/";
  k->selectable_fields = words(row.fields);
  return k;
}

using Key = std::tuple<std::string_view, std::string_view, std::string_view>;

}  // namespace

const std::vector<KindPtr>& builtin_kinds() {
  static const std::vector<KindPtr> kinds = [] {
    std::vector<KindPtr> out;
    for (const auto& gv : table())
      for (const auto& row : gv.rows) out.push_back(kind_of(gv, row));
    return out;
  }();
  return kinds;
}

KindPtr find_kind(std::string_view group, std::string_view version, std::string_view plural) {
  static const std::map<Key, KindPtr> index = [] {
    std::map<Key, KindPtr> out;
    for (const auto& k : builtin_kinds()) out.emplace(Key(k->group, k->version, k->plural), k);
    return out;
  }();
  auto it = index.find(Key(group, version, plural));
  return it == index.end() ? nullptr : it->second;
}

KindPtr find_kind_by_name(std::string_view api_version, std::string_view kind) {
  static const std::map<Key, KindPtr> index = [] {
    std::map<Key, KindPtr> out;
    for (const auto& k : builtin_kinds()) out.emplace(Key(k->group, k->version, k->kind), k);
    return out;
  }();
  auto slash = api_version.find('/');
  std::string_view group = slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
  std::string_view version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  auto it = index.find(Key(group, version, kind));
  return it == index.end() ? nullptr : it->second;
}

}  // namespace lab::api
