#include "bootstrap/config/fields.h"

namespace lab::bootstrap::config {

namespace {

using enum Kind;

// Why a field is accepted without effect.
constexpr std::string_view kNoPulls = "images travel with the program; nothing is pulled";
constexpr std::string_view kOneProcess = "the control plane is one process without manifests";
constexpr std::string_view kOwnParts = "the part it is for is the program's own";
constexpr std::string_view kNoGates = "there are no feature gates";
constexpr std::string_view kKubeletArgs = "of the kubelet's flags only node-ip and hostname-override are taken";
constexpr std::string_view kServerArgs = "only default-not-ready-toleration-seconds is taken";
constexpr std::string_view kManagerArgs = "only node-monitor-grace-period and cluster-signing-duration are taken";
constexpr std::string_view kOwnLimits = "this step has a limit of its own";
constexpr std::string_view kByCommand = "upgrades are not driven by a file";

constexpr Field kTokenRows[] = {{"token"},          {"description"},    {"ttl", kDuration},
                                {"expires", kTime}, {"usages", kTexts}, {"groups", kTexts}};
constexpr Fields kToken{"BootstrapToken", kTokenRows};

constexpr Field kTaintRows[] = {
    {"key"}, {"value"}, {"effect"}, {.name = "timeAdded", .kind = kTime, .idle = "the API sets it"}};
constexpr Fields kTaint{"Taint", kTaintRows};

// The flags that are taken are told apart by name, in check.cpp. v1beta4 writes flags as a list, since a flag may be
// given several times.
constexpr Field kArgRows[] = {{"name"}, {"value"}};
constexpr Fields kArg{"Arg", kArgRows};
constexpr Field kEnvRows[] = {{"name"}, {"value"}, {"valueFrom", kTree}};
constexpr Fields kEnv{"EnvVar", kEnvRows};

constexpr Field kMountRows[] = {{"name"}, {"hostPath"}, {"mountPath"}, {"readOnly", kBool}, {"pathType"}};
constexpr Fields kMount{"HostPathMount", kMountRows};

constexpr Field kNodeRows[] = {
    {"name"},
    {"criSocket"},
    {"taints", kObjects, &kTaint},
    {"kubeletExtraArgs", kTextMap, nullptr, kV1beta3, kKubeletArgs},
    {"kubeletExtraArgs", kObjects, &kArg, kV1beta4, kKubeletArgs},
    {"ignorePreflightErrors", kTexts},
    {"imagePullPolicy", kText, nullptr, kBoth, kNoPulls},
    {"imagePullSerial", kBool, nullptr, kV1beta4, kNoPulls},
};
constexpr Fields kNode{"NodeRegistrationOptions", kNodeRows};

constexpr Field kEndpointRows[] = {{"advertiseAddress"}, {"bindPort", kInteger}};
constexpr Fields kEndpoint{"APIEndpoint", kEndpointRows};

constexpr Field kPatchesRows[] = {{"directory", kText, nullptr, kBoth, kOneProcess}};
constexpr Fields kPatches{"Patches", kPatchesRows};

constexpr Field kTimeoutsRows[] = {
    {"controlPlaneComponentHealthCheck", kDuration},
    {"kubeletHealthCheck", kDuration},
    {"kubernetesAPICall", kDuration, nullptr, kBoth, kOwnLimits},
    {"etcdAPICall", kDuration, nullptr, kBoth, kOwnLimits},
    {"tlsBootstrap", kDuration},
    {"discovery", kDuration},
    {"upgradeManifests", kDuration, nullptr, kBoth, kOneProcess},
};
constexpr Fields kTimeouts{"Timeouts", kTimeoutsRows};

constexpr Field kInitRows[] = {
    {"bootstrapTokens", kObjects, &kToken},
    {"dryRun", kBool, nullptr, kV1beta4},
    {"nodeRegistration", kObject, &kNode},
    {"localAPIEndpoint", kObject, &kEndpoint},
    {"certificateKey"},
    {"skipPhases", kTexts},
    {"patches", kObject, &kPatches},
    {"timeouts", kObject, &kTimeouts, kV1beta4},
};
constexpr Fields kInit{"InitConfiguration", kInitRows};

constexpr Field kLocalEtcdRows[] = {
    {"imageRepository", kText, nullptr, kBoth, kNoPulls},
    {"imageTag", kText, nullptr, kBoth, kNoPulls},
    {"dataDir", kText, nullptr, kBoth, "the embedded store lies under /var/lib/lab/server"},
    {"extraArgs", kTextMap, nullptr, kV1beta3, kOwnParts},
    {"extraArgs", kObjects, &kArg, kV1beta4, kOwnParts},
    {"extraEnvs", kObjects, &kEnv, kV1beta4, kOwnParts},
    {"serverCertSANs", kTexts, nullptr, kBoth, kOwnParts},
    {"peerCertSANs", kTexts, nullptr, kBoth, kOwnParts},
};
constexpr Fields kLocalEtcd{"LocalEtcd", kLocalEtcdRows};
constexpr Field kExternalEtcdRows[] = {{"endpoints", kTexts}, {"caFile"}, {"certFile"}, {"keyFile"}};
constexpr Fields kExternalEtcd{"ExternalEtcd", kExternalEtcdRows};
constexpr Field kEtcdRows[] = {{"local", kObject, &kLocalEtcd}, {"external", kObject, &kExternalEtcd}};
constexpr Fields kEtcd{"Etcd", kEtcdRows};

constexpr Field kNetworkingRows[] = {{"serviceSubnet"}, {"podSubnet"}, {"dnsDomain"}};
constexpr Fields kNetworking{"Networking", kNetworkingRows};

constexpr Field kApiServerRows[] = {
    {"extraArgs", kTextMap, nullptr, kV1beta3, kServerArgs},
    {"extraArgs", kObjects, &kArg, kV1beta4, kServerArgs},
    {"extraVolumes", kObjects, &kMount, kBoth, kOneProcess},
    {"extraEnvs", kObjects, &kEnv, kV1beta4, kOneProcess},
    {"certSANs", kTexts},
    {"timeoutForControlPlane", kDuration, nullptr, kV1beta3},
};
constexpr Fields kApiServer{"APIServer", kApiServerRows};
constexpr Field kManagerRows[] = {
    {"extraArgs", kTextMap, nullptr, kV1beta3, kManagerArgs},
    {"extraArgs", kObjects, &kArg, kV1beta4, kManagerArgs},
    {"extraVolumes", kObjects, &kMount, kBoth, kOneProcess},
    {"extraEnvs", kObjects, &kEnv, kV1beta4, kOneProcess},
};
constexpr Fields kManager{"ControlPlaneComponent", kManagerRows};
constexpr Field kSchedulerRows[] = {
    {"extraArgs", kTextMap, nullptr, kV1beta3, kOwnParts},
    {"extraArgs", kObjects, &kArg, kV1beta4, kOwnParts},
    {"extraVolumes", kObjects, &kMount, kBoth, kOneProcess},
    {"extraEnvs", kObjects, &kEnv, kV1beta4, kOneProcess},
};
constexpr Fields kScheduler{"ControlPlaneComponent", kSchedulerRows};

constexpr Field kDnsRows[] = {
    {"imageRepository", kText, nullptr, kBoth, kNoPulls},
    {"imageTag", kText, nullptr, kBoth, kNoPulls},
    {"disabled", kBool, nullptr, kV1beta4},
};
constexpr Fields kDns{"DNS", kDnsRows};
constexpr Field kProxyRows[] = {{"disabled", kBool, nullptr, kV1beta4}};
constexpr Fields kProxy{"Proxy", kProxyRows};

constexpr Field kClusterRows[] = {
    {"etcd", kObject, &kEtcd},
    {"networking", kObject, &kNetworking},
    {"kubernetesVersion"},
    {"controlPlaneEndpoint"},
    {"apiServer", kObject, &kApiServer},
    {"controllerManager", kObject, &kManager},
    {"scheduler", kObject, &kScheduler},
    {"dns", kObject, &kDns},
    {"proxy", kObject, &kProxy, kV1beta4},
    {"certificatesDir"},
    {"imageRepository", kText, nullptr, kBoth, kNoPulls},
    {"featureGates", kBoolMap, nullptr, kBoth, kNoGates},
    {"clusterName"},
    {"encryptionAlgorithm", kText, nullptr, kV1beta4},
    {"certificateValidityPeriod", kDuration, nullptr, kV1beta4},
    {"caCertificateValidityPeriod", kDuration, nullptr, kV1beta4},
};
constexpr Fields kCluster{"ClusterConfiguration", kClusterRows};

constexpr Field kTokenDiscoveryRows[] = {
    {"token"}, {"apiServerEndpoint"}, {"caCertHashes", kTexts}, {"unsafeSkipCAVerification", kBool}};
constexpr Fields kTokenDiscovery{"BootstrapTokenDiscovery", kTokenDiscoveryRows};
constexpr Field kFileDiscoveryRows[] = {{"kubeConfigPath"}};
constexpr Fields kFileDiscovery{"FileDiscovery", kFileDiscoveryRows};
constexpr Field kDiscoveryRows[] = {
    {"bootstrapToken", kObject, &kTokenDiscovery},
    {"file", kObject, &kFileDiscovery},
    {"tlsBootstrapToken"},
    {"timeout", kDuration, nullptr, kV1beta3},
};
constexpr Fields kDiscovery{"Discovery", kDiscoveryRows};
constexpr Field kJoinControlPlaneRows[] = {{"localAPIEndpoint", kObject, &kEndpoint}, {"certificateKey"}};
constexpr Fields kJoinControlPlane{"JoinControlPlane", kJoinControlPlaneRows};
constexpr Field kJoinRows[] = {
    {"dryRun", kBool, nullptr, kV1beta4},
    {"nodeRegistration", kObject, &kNode},
    {"caCertPath", kText, nullptr, kBoth, "the CA is kept as /etc/kubernetes/pki/ca.crt"},
    {"discovery", kObject, &kDiscovery},
    {"controlPlane", kObject, &kJoinControlPlane},
    {"skipPhases", kTexts},
    {"patches", kObject, &kPatches},
    {"timeouts", kObject, &kTimeouts, kV1beta4},
};
constexpr Fields kJoin{"JoinConfiguration", kJoinRows};

constexpr Field kResetRows[] = {
    {"cleanupTmpDir", kBool}, {"certificatesDir"},      {"criSocket"},
    {"dryRun", kBool},        {"force", kBool},         {"ignorePreflightErrors", kTexts},
    {"skipPhases", kTexts},   {"unmountFlags", kTexts}, {"timeouts", kObject, &kTimeouts},
};
constexpr Fields kReset{"ResetConfiguration", kResetRows};

constexpr Field kUpgradeApplyRows[] = {
    {"kubernetesVersion", kText, nullptr, kBoth, kByCommand},
    {"allowExperimentalUpgrades", kBool, nullptr, kBoth, kByCommand},
    {"allowRCUpgrades", kBool, nullptr, kBoth, kByCommand},
    {"certificateRenewal", kBool, nullptr, kBoth, kByCommand},
    {"dryRun", kBool, nullptr, kBoth, kByCommand},
    {"etcdUpgrade", kBool, nullptr, kBoth, kByCommand},
    {"forceUpgrade", kBool, nullptr, kBoth, kByCommand},
    {"ignorePreflightErrors", kTexts, nullptr, kBoth, kByCommand},
    {"patches", kObject, &kPatches},
    {"printConfig", kBool, nullptr, kBoth, kByCommand},
    {"skipPhases", kTexts, nullptr, kBoth, kByCommand},
    {"imagePullPolicy", kText, nullptr, kBoth, kNoPulls},
    {"imagePullSerial", kBool, nullptr, kBoth, kNoPulls},
};
constexpr Fields kUpgradeApply{"UpgradeApplyConfiguration", kUpgradeApplyRows};
constexpr Field kUpgradeNodeRows[] = {
    {"certificateRenewal", kBool, nullptr, kBoth, kByCommand},
    {"dryRun", kBool, nullptr, kBoth, kByCommand},
    {"etcdUpgrade", kBool, nullptr, kBoth, kByCommand},
    {"ignorePreflightErrors", kTexts, nullptr, kBoth, kByCommand},
    {"patches", kObject, &kPatches},
    {"skipPhases", kTexts, nullptr, kBoth, kByCommand},
    {"imagePullPolicy", kText, nullptr, kBoth, kNoPulls},
    {"imagePullSerial", kBool, nullptr, kBoth, kNoPulls},
};
constexpr Fields kUpgradeNode{"UpgradeNodeConfiguration", kUpgradeNodeRows};
constexpr Field kUpgradePlanRows[] = {
    {"kubernetesVersion", kText, nullptr, kBoth, kByCommand},
    {"allowExperimentalUpgrades", kBool, nullptr, kBoth, kByCommand},
    {"allowRCUpgrades", kBool, nullptr, kBoth, kByCommand},
    {"dryRun", kBool, nullptr, kBoth, kByCommand},
    {"etcdUpgrade", kBool, nullptr, kBoth, kByCommand},
    {"ignorePreflightErrors", kTexts, nullptr, kBoth, kByCommand},
    {"printConfig", kBool, nullptr, kBoth, kByCommand},
};
constexpr Fields kUpgradePlan{"UpgradePlanConfiguration", kUpgradePlanRows};
constexpr Field kUpgradeDiffRows[] = {
    {"kubernetesVersion", kText, nullptr, kBoth, kByCommand},
    {"contextLines", kInteger, nullptr, kBoth, kByCommand},
};
constexpr Fields kUpgradeDiff{"UpgradeDiffConfiguration", kUpgradeDiffRows};
constexpr Field kUpgradeRows[] = {
    {"apply", kObject, &kUpgradeApply}, {"diff", kObject, &kUpgradeDiff},  {"node", kObject, &kUpgradeNode},
    {"plan", kObject, &kUpgradePlan},   {"timeouts", kObject, &kTimeouts},
};
constexpr Fields kUpgrade{"UpgradeConfiguration", kUpgradeRows};

constexpr Document kDocuments[] = {
    {"InitConfiguration", &kInit},
    {"ClusterConfiguration", &kCluster},
    {"JoinConfiguration", &kJoin},
    {"ResetConfiguration", &kReset, kV1beta4},
    {"UpgradeConfiguration", &kUpgrade, kV1beta4},
};

}  // namespace

std::span<const Document> documents() {
  return kDocuments;
}

const Document* find_document(std::string_view kind) {
  for (const auto& d : kDocuments)
    if (d.kind == kind) return &d;
  return nullptr;
}

}  // namespace lab::bootstrap::config
