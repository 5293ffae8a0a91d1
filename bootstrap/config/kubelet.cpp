#include "bootstrap/config/kubelet.h"

namespace lab::bootstrap::config {

namespace {

using enum Kind;

// Why a field is accepted without effect.
constexpr std::string_view kFixed = "the agent does this one way";
constexpr std::string_view kNoManagers = "CPUs, memory and devices are not given out one by one";
constexpr std::string_view kNoSoft = "pressure is judged by evictionHard alone";
constexpr std::string_view kNoShutdown = "pods are not ended before the machine shuts down";
constexpr std::string_view kNoSystemLimits =
    "reservations lower what pods may be given; no limits are set for the system's own cgroups";
constexpr std::string_view kOwnServers = "of the agent's servers there is the one on port 10250";
constexpr std::string_view kOwnRates = "the agent's requests are not throttled";
constexpr std::string_view kByWatch = "objects are followed by watches";
constexpr std::string_view kProxys = "packets are the service proxy's";
constexpr std::string_view kSelfSigned = "the serving certificate is self-signed and renews by itself";
constexpr std::string_view kAccess =
    "callers show a certificate of the cluster's CA, or a token that the API server judges";
constexpr std::string_view kNoGates = "there are no feature gates";
constexpr std::string_view kByRegistration =
    "nodeRegistration.criSocket of the kubeadm document says where the runtime is";
constexpr std::string_view kOwnLog = "the agent logs in its own way";
constexpr std::string_view kNoSwap = "swap is no obstacle, and pods get none";
constexpr std::string_view kOneWayToImages = "credentials are those of imagePullSecrets";

constexpr Field kTaintRows[] = {
    {"key"}, {"value"}, {"effect"}, {.name = "timeAdded", .kind = kTime, .idle = "the API sets it"}};
constexpr Fields kTaint{"Taint", kTaintRows};

constexpr Field idle(std::string_view name, Kind kind, std::string_view why, std::string_view as_is = {}) {
  return {.name = name, .kind = kind, .idle = why, .as_is = as_is};
}

constexpr Field kRows[] = {
    // Taken.
    {"address"},
    {"port", kInteger},
    {"cgroupDriver"},
    {"clusterDNS", kTexts},
    {"clusterDomain"},
    {"containerLogMaxFiles", kInteger},
    {"containerLogMaxSize"},
    {"evictionHard", kTextMap},
    {"fileCheckFrequency", kDuration},
    {"imageGCHighThresholdPercent", kInteger},
    {"imageGCLowThresholdPercent", kInteger},
    {"imageMinimumGCAge", kDuration},
    {"kubeReserved", kTextMap},
    {"maxParallelImagePulls", kInteger},
    {"maxPods", kInteger},
    {"nodeStatusReportFrequency", kDuration},
    {"nodeStatusUpdateFrequency", kDuration},
    {"podPidsLimit", kInteger},
    {"providerID"},
    {"registerWithTaints", kObjects, &kTaint},
    {"resolvConf"},
    {"serializeImagePulls", kBool},
    {"staticPodPath"},
    {"syncFrequency", kDuration},
    {"systemReserved", kTextMap},
    // Without effect; `as_is` is what is done anyway.
    idle("allowedUnsafeSysctls", kTexts, "all sysctls that the kernel keeps apart for pods are allowed"),
    idle(
        "authentication", kTree, kAccess,
        R"({"anonymous":{"enabled":false},"webhook":{"cacheTTL":"0s","enabled":true},"x509":{"clientCAFile":"/etc/kubernetes/pki/ca.crt"}})"),
    idle("authorization", kTree, kAccess,
         R"({"mode":"Webhook","webhook":{"cacheAuthorizedTTL":"0s","cacheUnauthorizedTTL":"0s"}})"),
    idle("cgroupRoot", kText, kFixed, R"("/")"),
    idle("cgroupsPerQOS", kBool, kFixed, "true"),
    idle("configMapAndSecretChangeDetectionStrategy", kText, kByWatch, R"("Watch")"),
    idle("containerLogMaxWorkers", kInteger, kFixed),
    idle("containerLogMonitorInterval", kDuration, kFixed),
    idle("containerRuntimeEndpoint", kText, kByRegistration, R"("")"),
    idle("contentType", kText, kFixed),
    idle("cpuCFSQuota", kBool, kFixed, "true"),
    idle("cpuCFSQuotaPeriod", kDuration, kFixed, R"("100ms")"),
    idle("cpuManagerPolicy", kText, kNoManagers, R"("none")"),
    idle("cpuManagerPolicyOptions", kTextMap, kNoManagers),
    idle("cpuManagerReconcilePeriod", kDuration, kNoManagers),
    idle("crashLoopBackOff", kTree, kFixed),
    idle("enableContentionProfiling", kBool, kOwnServers, "false"),
    idle("enableControllerAttachDetach", kBool, kFixed, "true"),
    idle("enableDebugFlagsHandler", kBool, kOwnServers),
    idle("enableDebuggingHandlers", kBool, kFixed, "true"),
    idle("enableProfilingHandler", kBool, kOwnServers, "false"),
    idle("enableServer", kBool, kOwnServers, "true"),
    idle("enableSystemLogHandler", kBool, kOwnServers, "false"),
    idle("enableSystemLogQuery", kBool, kOwnServers, "false"),
    idle("enforceNodeAllocatable", kTexts, kNoSystemLimits),
    idle("eventBurst", kInteger, kOwnRates),
    idle("eventRecordQPS", kInteger, kOwnRates),
    idle("evictionMaxPodGracePeriod", kInteger, kNoSoft, "0"),
    idle("evictionMinimumReclaim", kTextMap, kNoSoft),
    idle("evictionPressureTransitionPeriod", kDuration, kNoSoft),
    idle("evictionSoft", kTextMap, kNoSoft),
    idle("evictionSoftGracePeriod", kTextMap, kNoSoft),
    idle("failCgroupV1", kBool, kFixed, "false"),
    idle("failSwapOn", kBool, kNoSwap, "false"),
    idle("featureGates", kBoolMap, kNoGates),
    idle("hairpinMode", kText, kProxys),
    idle("healthzBindAddress", kText, kOwnServers, R"("127.0.0.1")"),
    idle("healthzPort", kInteger, kOwnServers, "10248"),
    idle("httpCheckFrequency", kDuration, kFixed),
    idle("imageMaximumGCAge", kDuration, "unused images go when their disk is full"),
    idle("imagePullCredentialsVerificationPolicy", kText, kOneWayToImages),
    idle("imageServiceEndpoint", kText, kByRegistration, R"("")"),
    idle("iptablesDropBit", kInteger, kProxys),
    idle("iptablesMasqueradeBit", kInteger, kProxys),
    idle("kernelMemcgNotification", kBool, kFixed, "false"),
    idle("kubeAPIBurst", kInteger, kOwnRates),
    idle("kubeAPIQPS", kInteger, kOwnRates),
    idle("kubeReservedCgroup", kText, kNoSystemLimits),
    idle("kubeletCgroups", kText, kNoSystemLimits),
    idle("localStorageCapacityIsolation", kBool, kFixed, "true"),
    idle(
        "logging", kTree, kOwnLog,
        R"({"flushFrequency":0,"options":{"json":{"infoBufferSize":"0"},"text":{"infoBufferSize":"0"}},"verbosity":0})"),
    idle("makeIPTablesUtilChains", kBool, kProxys),
    idle("manifestURL", kText, kFixed),
    idle("manifestURLHeader", kTree, kFixed),
    idle("maxOpenFiles", kInteger, "the limit is that of the service's unit"),
    idle("memoryManagerPolicy", kText, kNoManagers, R"("None")"),
    idle("memorySwap", kTree, kNoSwap),
    idle("memoryThrottlingFactor", kTree, kFixed),
    idle("mergeDefaultEvictionSettings", kBool, kFixed),
    idle("nodeLeaseDurationSeconds", kInteger,
         "it follows the flag node-monitor-grace-period of the controller manager", "40"),
    idle("nodeStatusMaxImages", kInteger, kFixed, "50"),
    idle("oomScoreAdj", kInteger, kFixed),
    idle("podCIDR", kText, "addresses of pods are the pod network's"),
    idle("podLogsDir", kText, kFixed, R"("/var/log/pods")"),
    idle("podsPerCore", kInteger, "maxPods alone limits their number", "0"),
    idle("preloadedImagesVerificationAllowlist", kTexts, kOneWayToImages),
    idle("protectKernelDefaults", kBool, "preflight says what the kernel lacks", "false"),
    idle("qosReserved", kTextMap, kNoManagers),
    idle("readOnlyPort", kInteger, kOwnServers, "0"),
    idle("registerNode", kBool, kFixed, "true"),
    idle("registryBurst", kInteger, kOwnRates),
    idle("registryPullQPS", kInteger, kOwnRates),
    idle("reservedMemory", kObjects, kNoManagers),
    idle("reservedSystemCPUs", kText, kNoManagers),
    idle("rotateCertificates", kBool, "the node's certificate always renews by itself", "true"),
    idle("runOnce", kBool, kFixed, "false"),
    idle("runtimeRequestTimeout", kDuration, kFixed),
    idle("seccompDefault", kBool, kFixed, "false"),
    idle("serverTLSBootstrap", kBool, kSelfSigned, "false"),
    idle("showHiddenMetricsForVersion", kText, kFixed),
    idle("shutdownGracePeriod", kDuration, kNoShutdown),
    idle("shutdownGracePeriodByPodPriority", kTree, kNoShutdown),
    idle("shutdownGracePeriodCriticalPods", kDuration, kNoShutdown),
    idle("singleProcessOOMKill", kBool, kFixed),
    idle("streamingConnectionIdleTimeout", kDuration, "the runtime ends idle streams"),
    idle("systemCgroups", kText, kNoSystemLimits),
    idle("systemReservedCgroup", kText, kNoSystemLimits),
    idle("tlsCertFile", kText, kSelfSigned),
    idle("tlsCipherSuites", kTexts, kFixed),
    idle("tlsMinVersion", kText, kFixed),
    idle("tlsPrivateKeyFile", kText, kSelfSigned),
    idle("topologyManagerPolicy", kText, kNoManagers, R"("none")"),
    idle("topologyManagerPolicyOptions", kTextMap, kNoManagers),
    idle("topologyManagerScope", kText, kNoManagers, R"("container")"),
    idle("tracing", kTree, kFixed),
    idle("userNamespaces", kTree, kFixed),
    idle("volumePluginDir", kText, "volumes are those of the agent"),
    idle("volumeStatsAggPeriod", kDuration, kFixed),
};
constexpr Fields kKubelet{.name = "KubeletConfiguration", .rows = kRows, .open = true};

}  // namespace

const Fields& kubelet_fields() {
  return kKubelet;
}

}  // namespace lab::bootstrap::config
