// lab init: makes this machine a cluster's master. kubeadm's phases, flags and texts.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/common/progress.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/phases/phase.h"
#include "bootstrap/init/tokens.h"
#include "bootstrap/services/service_manager.h"
#include "pki/bootstrap_token.h"
#include "pki/certificate_set.h"

namespace lab::bootstrap {

inline constexpr const char* kKubernetesDirectory = "/etc/kubernetes";
inline constexpr const char* kDataDirectory = "/var/lib/lab";
inline constexpr const char* kControlPlaneTaint = "node-role.kubernetes.io/control-plane";
inline constexpr const char* kNodeTokenGroup = "system:bootstrappers:kubeadm:default-node-token";

struct InitOptions {
  std::string advertise_address;             // empty: chosen, and shown with the reason
  int bind_port = 6443;
  std::string pod_network_cidr = "10.244.0.0/16";
  std::string service_cidr = "10.96.0.0/12";
  std::string service_dns_domain = "cluster.local";
  std::string control_plane_endpoint;
  std::string node_name;
  std::string cri_socket;                    // empty: found
  std::string cert_dir;                      // default /etc/kubernetes/pki
  std::vector<std::string> extra_sans;
  std::string token;                         // empty: generated
  std::chrono::seconds token_ttl{24 * 3600}; // 0: never expires
  std::vector<TokenRequest> tokens;          // of a configuration file, instead of the two; the first one is shown
  bool show_token = true;                    // in the join command at the end
  pki::KeyAlgorithm key_algorithm = pki::KeyAlgorithm::kEcdsaP256;
  std::chrono::hours certificate_validity{24 * 3650}, ca_validity{24 * 3650};
  bool encrypt = false;                      // what pods send to other nodes
  std::string ipam = "podcidr";              // where pods' addresses come from; or "ring"
  bool taint_master = true;
  std::optional<std::vector<std::string>> taints;   // "key=value:Effect", instead of the control plane's own
  std::string node_ip;                       // empty: the advertise address
  std::string dns_address;                   // empty: the tenth of the service range
  std::string cluster_name = "kubernetes";
  std::string store = "embedded";            // "etcd": a member on every master; "etcd=URL,...": one that runs elsewhere
  bool upload_certs = false;
  std::string certificate_key;               // empty: generated
  std::chrono::seconds control_plane_timeout{60}, kubelet_timeout{60};
  std::chrono::seconds signing_duration{0};  // how long certificates of nodes are good; 0: the server's own default
  std::chrono::seconds node_grace{40};       // until a silent node is NotReady
  std::chrono::seconds pod_toleration{300};  // default toleration of not-ready and unreachable
  json::Value kubelet;                       // KubeletConfiguration of a file, for all nodes; null: none was given
  std::vector<std::string> ignore_preflight;
  AskRuntime ask_runtime;
  RunOptions run;
};

struct InitContext {
  InitOptions options;
  Progress progress;
  std::unique_ptr<ServiceManager> services;
  std::unique_ptr<Cluster> admin;            // opened by the phases that talk to the API
  std::string service_address, dns_address;  // 10.96.0.1 and 10.96.0.10
  pki::BootstrapToken token;
  bool token_made = false;

  std::string endpoint() const;              // "10.0.0.1:6443", or the control-plane endpoint
  std::string server_url() const { return "https://" + endpoint(); }
  std::string cert_dir() const { return options.cert_dir; }
  std::vector<std::string> node_taints() const;   // "key=value:Effect"
  pki::CertificateSetOptions certificate_options() const;
  Result<Cluster*> cluster();
};

// Whether every node runs the pod network as a service. Not so when the phase addon/overlay-net is left out: then nodes
// are NotReady until somebody applies its manifest, or that of another network.
bool overlay_is_service(const InitOptions& options);
// This master begins the ring, where there is one.
OverlayChoice overlay_choice(const InitOptions& options);
// Lays the manifest where people will look for it, whether it is needed or not.
Result<void> write_overlay_manifest(InitContext& c);
// `text` with its @NAMES@ filled in. The password by which the pods of the manifest prove themselves to one another is
// that of `before`, the manifest that was written earlier, or a new one where that has none.
std::string overlay_manifest(std::string text, const InitOptions& options, const std::string& binary,
                             const std::string& before);
// Key of ConfigMap kubeadm-config beside ClusterConfiguration: "service" or "manifest", for nodes that join.
inline constexpr const char* kOverlayKey = "overlay";

const std::vector<Phase<InitContext>>& init_phases();

// Fills in what was not given (address, node name, socket) and checks the rest, before anything is written.
Result<void> complete_options(InitContext& context);
// All phases; the closing text on success.
Result<void> run_init(InitOptions options);

// The phases, one file each group.
Result<void> preflight_phase(InitContext& c);
Result<void> certificate_phase(InitContext& c, const std::string& name);
Result<void> kubeconfig_phase(InitContext& c, const std::string& name);
Result<void> control_plane_phase(InitContext& c);
Result<void> wait_control_plane_phase(InitContext& c);
Result<void> images_phase(InitContext& c);
Result<void> kubelet_start_phase(InitContext& c);
Result<void> upload_kubeadm_config_phase(InitContext& c);
Result<void> upload_kubelet_config_phase(InitContext& c);
Result<void> mark_control_plane_phase(InitContext& c);
Result<void> bootstrap_token_phase(InitContext& c);
Result<void> addon_overlay_phase(InitContext& c);
Result<void> addon_dns_phase(InitContext& c);
Result<void> addon_proxy_phase(InitContext& c);
Result<void> addon_storage_phase(InitContext& c);
Result<void> join_command_phase(InitContext& c);

// Whose kubeconfigs init writes, as the rows of kubeconfig/*.
struct KubeconfigUser {
  std::string phase, file, common_name;
  std::vector<std::string> organizations;
};
std::vector<KubeconfigUser> kubeconfig_users(const InitContext& c);

// What init stores in the cluster, for nodes that join.
json::Value cluster_configuration(const InitContext& c);
json::Value kubelet_configuration(const InitContext& c);
Unit server_unit(const InitContext& c);
NodeServices node_services(const InitContext& c);

// "kubeadm join ..." for a token of this cluster.
Result<std::string> join_command(const std::string& endpoint, const std::string& ca_pem, const pki::BootstrapToken& token);

}  // namespace lab::bootstrap
