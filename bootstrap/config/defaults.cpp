#include "bootstrap/config/defaults.h"

namespace lab::bootstrap::config {

namespace {

constexpr std::string_view kVersion = "kubeadm.k8s.io/v1beta4";
constexpr std::string_view kSocket = "unix:///run/containerd/containerd.sock";
// Placeholders, as kubeadm prints them: what differs on every machine is to be filled in.
constexpr std::string_view kToken = "abcdef.0123456789abcdef";

json::Object document(std::string_view kind) {
  return {{"apiVersion", kVersion}, {"kind", kind}};
}

json::Object node_registration() {
  return {{"criSocket", kSocket},
          {"imagePullPolicy", "IfNotPresent"},
          {"imagePullSerial", true},
          {"name", "node"},
          {"taints", nullptr}};
}

json::Object timeouts() {
  return {{"controlPlaneComponentHealthCheck", "4m0s"},
          {"discovery", "5m0s"},
          {"etcdAPICall", "2m0s"},
          {"kubeletHealthCheck", "4m0s"},
          {"kubernetesAPICall", "1m0s"},
          {"tlsBootstrap", "5m0s"},
          {"upgradeManifests", "5m0s"}};
}

}  // namespace

std::vector<json::Value> init_defaults() {
  json::Object init = document("InitConfiguration");
  init["bootstrapTokens"] =
      json::Array{json::Object{{"groups", json::Array{"system:bootstrappers:kubeadm:default-node-token"}},
                               {"token", kToken},
                               {"ttl", "24h0m0s"},
                               {"usages", json::Array{"signing", "authentication"}}}};
  init["localAPIEndpoint"] = json::Object{{"advertiseAddress", "1.2.3.4"}, {"bindPort", 6443}};
  init["nodeRegistration"] = node_registration();
  init["timeouts"] = timeouts();

  json::Object cluster = document("ClusterConfiguration");
  for (auto part : {"apiServer", "controllerManager", "dns", "proxy", "scheduler"}) cluster[part] = json::Object();
  cluster["caCertificateValidityPeriod"] = "87600h0m0s";
  cluster["certificateValidityPeriod"] = "87600h0m0s";
  cluster["certificatesDir"] = "/etc/kubernetes/pki";
  cluster["clusterName"] = "kubernetes";
  cluster["encryptionAlgorithm"] = "ECDSA-P256";
  cluster["kubernetesVersion"] = std::string_view(kKubernetesVersion);
  cluster["networking"] =
      json::Object{{"dnsDomain", "cluster.local"}, {"podSubnet", "10.244.0.0/16"}, {"serviceSubnet", "10.96.0.0/12"}};
  return {std::move(init), std::move(cluster)};
}

std::vector<json::Value> join_defaults() {
  json::Object join = document("JoinConfiguration");
  join["caCertPath"] = "/etc/kubernetes/pki/ca.crt";
  join["discovery"] = json::Object{{"bootstrapToken", json::Object{{"apiServerEndpoint", "kube-apiserver:6443"},
                                                                   {"token", kToken},
                                                                   {"unsafeSkipCAVerification", true}}},
                                   {"tlsBootstrapToken", kToken}};
  join["nodeRegistration"] = node_registration();
  join["timeouts"] = timeouts();
  return {std::move(join)};
}

std::vector<json::Value> reset_defaults() {
  json::Object reset = document("ResetConfiguration");
  reset["certificatesDir"] = "/etc/kubernetes/pki";
  reset["criSocket"] = kSocket;
  reset["timeouts"] = timeouts();
  return {std::move(reset)};
}

std::vector<json::Value> upgrade_defaults() {
  json::Object upgrade = document("UpgradeConfiguration");
  for (auto part : {"apply", "node"})
    upgrade[part] = json::Object{{"certificateRenewal", true},
                                 {"etcdUpgrade", true},
                                 {"imagePullPolicy", "IfNotPresent"},
                                 {"imagePullSerial", true}};
  upgrade["diff"] = json::Object();
  upgrade["plan"] = json::Object{{"etcdUpgrade", true}};
  upgrade["timeouts"] = timeouts();
  return {std::move(upgrade)};
}

Result<json::Value> component_defaults(const std::string& kind) {
  if (kind == "KubeletConfiguration")
    return json::Value(json::Object{{"apiVersion", "kubelet.config.k8s.io/v1beta1"},
                                    {"kind", kind},
                                    {"clusterDNS", json::Array{"10.96.0.10"}},
                                    {"clusterDomain", "cluster.local"},
                                    {"rotateCertificates", true},
                                    {"staticPodPath", "/etc/kubernetes/manifests"}});
  if (kind == "KubeProxyConfiguration")
    return json::Value(json::Object{{"apiVersion", "kubeproxy.config.k8s.io/v1alpha1"},
                                    {"kind", kind},
                                    {"clusterCIDR", "10.244.0.0/16"},
                                    {"mode", "nftables"}});
  return fail(Code::kInvalid, "there is no component config \"" + kind + "\"",
              "name KubeletConfiguration or KubeProxyConfiguration");
}

}  // namespace lab::bootstrap::config
