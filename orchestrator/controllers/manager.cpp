#include "orchestrator/controllers/manager.h"

#include <algorithm>

#include "base/log.h"
#include "orchestrator/controllers/bootstrap_token.h"
#include "orchestrator/controllers/clusterrole_aggregation.h"
#include "orchestrator/controllers/cronjob.h"
#include "orchestrator/controllers/csr.h"
#include "orchestrator/controllers/daemonset.h"
#include "orchestrator/controllers/deployment.h"
#include "orchestrator/controllers/disruption.h"
#include "orchestrator/controllers/endpoints.h"
#include "orchestrator/controllers/endpointslice.h"
#include "orchestrator/controllers/endpointslice_mirroring.h"
#include "orchestrator/controllers/garbage_collector.h"
#include "orchestrator/controllers/job.h"
#include "orchestrator/controllers/namespace.h"
#include "orchestrator/controllers/node_ipam.h"
#include "orchestrator/controllers/node_lifecycle.h"
#include "orchestrator/controllers/persistent_volume.h"
#include "orchestrator/controllers/pod_gc.h"
#include "orchestrator/controllers/replicaset.h"
#include "orchestrator/controllers/resource_quota.h"
#include "orchestrator/controllers/serviceaccount.h"
#include "orchestrator/controllers/statefulset.h"

namespace lab::controllers {

namespace {

using Made = Result<std::unique_ptr<Controller>>;  // null: the options do not ask for it

template <class T, class... Args>
Made make(Context& context, Args&&... args) {
  return std::make_unique<T>(context, std::forward<Args>(args)...);
}

Made make_ipam(Context& context, const ManagerOptions& options) {
  if (options.cluster_cidrs.empty()) return nullptr;
  std::vector<CidrSet> sets;
  for (const auto& network : options.cluster_cidrs) {
    bool ipv6 = network.find(':') != std::string::npos;
    LAB_TRY(auto set, CidrSet::make(network, ipv6 ? options.node_mask_ipv6 : options.node_mask_ipv4));
    sets.push_back(std::move(set));
  }
  return make<NodeIpamController>(context, std::move(sets));
}

// A controller as kube-controller-manager names it, and the component its Events come from.
struct Row {
  const char* name;
  const char* component;
  Made (*make)(Context&, const ManagerOptions&);
};

constexpr Row kRows[] = {
    {"serviceaccount", "serviceaccount-controller",
     [](Context& c, const ManagerOptions&) { return make<ServiceAccountController>(c); }},
    {"root-ca-publisher", "root-ca-certificate-publisher",
     [](Context& c, const ManagerOptions& o) {
       return o.root_ca_pem.empty() ? Made(nullptr) : make<RootCaPublisher>(c, o.root_ca_pem);
     }},
    {"serviceaccount-token", "serviceaccount-token-controller",
     [](Context& c, const ManagerOptions& o) {
       return o.sign_token ? make<TokenSecretController>(c, o.root_ca_pem, o.sign_token) : Made(nullptr);
     }},
    {"node-ipam", "cidrAllocator", make_ipam},
    {"csr-approver", "csr-approver", [](Context& c, const ManagerOptions&) { return make<CsrApprover>(c); }},
    {"csr-signer", "csr-signer",
     [](Context& c, const ManagerOptions& o) {
       return o.sign_certificate ? make<CsrSigner>(c, o.sign_certificate, o.certificate_validity) : Made(nullptr);
     }},
    {"csr-cleaner", "csr-cleaner", [](Context& c, const ManagerOptions&) { return make<CsrCleaner>(c); }},
    {"bootstrap-signer", "bootstrap-signer",
     [](Context& c, const ManagerOptions&) { return make<ClusterInfoSigner>(c); }},
    {"token-cleaner", "token-cleaner", [](Context& c, const ManagerOptions&) { return make<TokenCleaner>(c); }},
    {"deployment", "deployment-controller",
     [](Context& c, const ManagerOptions&) { return make<DeploymentController>(c); }},
    {"replicaset", "replicaset-controller",
     [](Context& c, const ManagerOptions&) { return make<ReplicaSetController>(c); }},
    {"replicationcontroller", "replication-controller",
     [](Context& c, const ManagerOptions&) {
       return make<ReplicaSetController>(c, client::res::replicationcontrollers);
     }},
    {"daemonset", "daemonset-controller",
     [](Context& c, const ManagerOptions&) { return make<DaemonSetController>(c); }},
    {"job", "job-controller", [](Context& c, const ManagerOptions&) { return make<JobController>(c); }},
    {"cronjob", "cronjob-controller", [](Context& c, const ManagerOptions&) { return make<CronJobController>(c); }},
    {"statefulset", "statefulset-controller",
     [](Context& c, const ManagerOptions&) { return make<StatefulSetController>(c); }},
    {"disruption", "controllermanager",
     [](Context& c, const ManagerOptions&) { return make<DisruptionController>(c); }},
    {"clusterrole-aggregation", "clusterrole-aggregation-controller",
     [](Context& c, const ManagerOptions&) { return make<ClusterRoleAggregationController>(c); }},
    {"ttl-after-finished", "ttl-after-finished-controller",
     [](Context& c, const ManagerOptions&) { return make<TtlAfterFinishedController>(c); }},
    {"endpoints", "endpoint-controller",
     [](Context& c, const ManagerOptions&) { return make<EndpointsController>(c); }},
    {"endpointslice", "endpoint-slice-controller",
     [](Context& c, const ManagerOptions&) { return make<EndpointSliceController>(c); }},
    {"endpointslice-mirroring", "endpoint-slice-mirroring-controller",
     [](Context& c, const ManagerOptions&) { return make<EndpointSliceMirroringController>(c); }},
    {"namespace", "namespace-controller",
     [](Context& c, const ManagerOptions&) { return make<NamespaceController>(c); }},
    {"node-lifecycle", "node-controller",
     [](Context& c, const ManagerOptions& o) {
       return make<NodeLifecycleController>(
           c, NodeLifecycleOptions{o.node_monitor_period, o.node_monitor_grace, o.node_startup_grace});
     }},
    {"taint-eviction", "taint-eviction-controller",
     [](Context& c, const ManagerOptions&) { return make<TaintEvictionController>(c); }},
    {"pod-gc", "pod-garbage-collector-controller",
     [](Context& c, const ManagerOptions& o) {
       PodGcController::Options options;
       options.finished_threshold = o.terminated_pod_threshold;
       options.period = o.pod_gc_period;
       options.quarantine = o.pod_gc_quarantine;
       return make<PodGcController>(c, options);
     }},
    {"persistentvolume-binder", "persistentvolume-controller",
     [](Context& c, const ManagerOptions&) { return make<PersistentVolumeController>(c); }},
    {"resourcequota", "resourcequota-controller",
     [](Context& c, const ManagerOptions&) { return make<ResourceQuotaController>(c); }},
    {"garbage-collector", "garbage-collector-controller",
     [](Context& c, const ManagerOptions&) { return make<GarbageCollector>(c, GarbageCollector::Options{}); }},
};

bool wanted(const std::vector<std::string>& chosen, const std::string& name) {
  auto has = [&](const std::string& s) { return std::find(chosen.begin(), chosen.end(), s) != chosen.end(); };
  return !has("-" + name) && (has("*") || has(name));
}

}  // namespace

std::vector<std::string> controller_names() {
  std::vector<std::string> out;
  for (const auto& row : kRows) out.emplace_back(row.name);
  return out;
}

struct ControllerManager::Running {
  std::unique_ptr<client::EventRecorder> events;
  std::unique_ptr<Context> context;
  std::unique_ptr<Controller> controller;
};

ControllerManager::ControllerManager(client::Client& client, ManagerOptions options)
    : client_(client), options_(std::move(options)) {}
ControllerManager::~ControllerManager() = default;

Result<std::unique_ptr<ControllerManager>> ControllerManager::make(client::Client& client, ManagerOptions options) {
  auto names = controller_names();
  for (const auto& chosen : options.controllers) {
    std::string name = chosen.starts_with("-") ? chosen.substr(1) : chosen;
    if (name != "*" && std::find(names.begin(), names.end(), name) == names.end())
      return fail(Code::kInvalid, "no controller is called \"" + name + "\"", "the names are those of --help");
  }
  for (const auto& network : options.cluster_cidrs) {
    bool ipv6 = network.find(':') != std::string::npos;
    LAB_CHECK(CidrSet::make(network, ipv6 ? options.node_mask_ipv6 : options.node_mask_ipv4));
  }
  return std::unique_ptr<ControllerManager>(new ControllerManager(client, std::move(options)));
}

void ControllerManager::start(Scope& scope) {
  informers_ = std::make_unique<SharedInformers>(client_);
  for (const auto& row : kRows) {
    if (!wanted(options_.controllers, row.name)) continue;
    auto running = std::make_unique<Running>();
    running->events = std::make_unique<client::EventRecorder>(client_, scope, row.component);
    running->context = std::make_unique<Context>(Context{client_, *informers_, *running->events, scope.loop()});
    auto made = row.make(*running->context, options_);
    if (!made) {
      // make() has checked the options.
      log::error("bug: controller not made", {{"controller", row.name}, {"why", made.error().text()}});
      continue;
    }
    if (!*made) continue;
    running->controller = std::move(*made);
    running_.push_back(std::move(running));
  }
  informers_->start(scope);
  for (auto& running : running_) running->controller->start(scope);
}

bool ControllerManager::ready() const {
  return informers_ && informers_->synced();
}

std::vector<std::string> ControllerManager::running() const {
  std::vector<std::string> out;
  for (const auto& running : running_) out.emplace_back(running->controller->name());
  return out;
}

}  // namespace lab::controllers
