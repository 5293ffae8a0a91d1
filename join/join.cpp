#include "join/join.h"

#include <cstdio>

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/address.h"
#include "bootstrap/common/cluster.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/preflight/preflight.h"
#include "orchestrator/client/client.h"
#include "pki/kubeconfig.h"

namespace lab::join {

namespace {

constexpr const char* kKubeletConfig = "/etc/kubernetes/kubelet.conf";
constexpr const char* kBootstrapConfig = "/etc/kubernetes/bootstrap-kubelet.conf";
constexpr const char* kCaFile = "/etc/kubernetes/pki/ca.crt";
constexpr auto kBootstrapLimit = std::chrono::seconds(90);

Result<void> complete_options(JoinContext& c) {
  auto& o = c.options;
  std::string endpoint = o.endpoint;
  if (endpoint.starts_with("https://")) endpoint = endpoint.substr(8);
  auto colon = endpoint.rfind(':');
  c.host = endpoint.substr(0, colon);
  if (colon != std::string::npos) c.port = std::atoi(endpoint.c_str() + colon + 1);
  if (o.discovery_file.empty()) {
    if (c.host.empty())
      return fail(Code::kInvalid, "the master's address is missing", "as in: lab join 10.0.0.1:6443 --token ...");
    if (c.port <= 0 || c.port > 65535)
      return fail(Code::kInvalid, "\"" + o.endpoint + "\" has no valid port", "the API server's default is 6443");
    if (o.ca_pins.empty() && !o.unsafe_skip_ca_verification)
      return fail(Code::kInvalid, "the CA pin is missing",
                  "give --discovery-token-ca-cert-hash sha256:... (the master prints it: lab token create "
                  "--print-join-command), or accept any CA with --discovery-token-unsafe-skip-ca-verification");
  }
  if (!o.token.empty() || o.discovery_file.empty()) {
    LAB_TRY(c.token, pki::BootstrapToken::parse(o.token));
  }
  if (o.node_name.empty()) o.node_name = bootstrap::host_name();
  if (o.node_ip.empty()) {
    LAB_TRY(auto chosen, bootstrap::choose_advertise_address());
    o.node_ip = chosen.address;
  }
  if (o.cri_socket.empty()) o.cri_socket = bootstrap::find_cri_socket();
  return {};
}

Result<void> preflight(JoinContext& c) {
  bootstrap::PreflightInput input{.control_plane = false, .cri_socket = c.options.cri_socket, .node_name = c.options.node_name};
  std::vector<std::string> warnings;
  auto verdict = bootstrap::judge_preflight(bootstrap::run_preflight(input), c.options.ignore_preflight, warnings);
  for (const auto& w : warnings) c.progress.warn(w);
  if (!verdict) return verdict;
  if (fs::exists("/etc/kubernetes/pki/ca.key"))
    return fail(Code::kAlreadyExists, "this machine is a master itself: /etc/kubernetes/pki/ca.key is there",
                "reset it before it joins another cluster: lab reset");
  return {};
}

Result<void> discovery(JoinContext& c) {
  const auto& o = c.options;
  ClusterInfo info;
  if (!o.discovery_file.empty()) {
    LAB_TRY(info, discover_from_file(o.discovery_file));
  } else {
    // The signature of a token that was just made appears a moment later.
    LAB_TRY(info, discover(c.host, c.port, c.token, o.ca_pins, o.unsafe_skip_ca_verification));
  }
  c.server = info.server;
  c.ca_pem = info.ca_pem;
  return {};
}

// A kubelet.conf of an earlier join serves only if it is of the same cluster.
Result<bool> already_joined(const JoinContext& c) {
  auto config = client::load_kubeconfig(kKubeletConfig);
  if (!config) return false;
  if (config->ca_pem == c.ca_pem && config->server == c.server) return true;
  LAB_CHECK(fs::remove_file(kKubeletConfig));
  LAB_CHECK(fs::remove_all("/var/lib/kubelet/pki"));
  return false;
}

Result<void> kubelet_start(JoinContext& c) {
  LAB_CHECK(fs::make_dirs("/etc/kubernetes/pki"));
  LAB_CHECK(fs::write_file(kCaFile, c.ca_pem));
  client::RestConfig config;
  config.server = c.server;
  config.ca_pem = c.ca_pem;
  LAB_TRY(bool joined, already_joined(c));
  if (!joined) {
    pki::KubeconfigSpec spec{.user = "tls-bootstrap-token-user", .server = c.server, .ca_pem = c.ca_pem, .token = c.token.text()};
    LAB_CHECK(fs::write_file(kBootstrapConfig, pki::kubeconfig_text(spec), 0600));
    config.token = c.token.text();
  } else {
    LAB_TRY(config, client::load_kubeconfig(kKubeletConfig));
  }
  auto cluster = bootstrap::Cluster::connect(config);
  LAB_TRY(auto kubelet_map, cluster->get(client::res::configmaps, "kube-system", "kubelet-config"));
  LAB_TRY(auto kubelet, yaml::parse(json::str(kubelet_map, "data", "kubelet")));
  LAB_TRY(auto cluster_map, cluster->get(client::res::configmaps, "kube-system", "kubeadm-config"));
  LAB_TRY(auto cluster_config, yaml::parse(json::str(cluster_map, "data", "ClusterConfiguration")));
  const auto& dns = json::list(kubelet, "clusterDNS");
  bootstrap::NodeServices node{
      .node_name = c.options.node_name,
      .node_ip = c.options.node_ip,
      .cri_socket = c.options.cri_socket,
      .dns_address = dns.empty() ? std::string() : std::string(json::as_str(dns[0])),
      .dns_domain = std::string(json::str(kubelet, "clusterDomain")),
      .service_cidr = std::string(json::str(cluster_config, "networking", "serviceSubnet")),
      .pod_cidr = std::string(json::str(cluster_config, "networking", "podSubnet"))};
  if (auto seconds = json::num(kubelet, "nodeLeaseDurationSeconds")) node.lease_seconds = static_cast<int>(seconds);
  return bootstrap::start_node_services(*c.services, node);
}

Result<void> tls_bootstrap(JoinContext& c) {
  const std::string hint = "see the agent's log: " + c.services->log_hint("lab-agent");
  auto on_state = [&](const std::string& s) { c.progress.state(s); };
  std::unique_ptr<bootstrap::Cluster> cluster;
  LAB_CHECK(bootstrap::wait_until(
      kBootstrapLimit, "a signed certificate for node \"" + c.options.node_name + "\"", hint,
      [&]() -> Result<void> {
        LAB_TRY(auto config, client::load_kubeconfig(kKubeletConfig));
        cluster = bootstrap::Cluster::connect(std::move(config));
        return {};
      },
      on_state));
  LAB_CHECK(bootstrap::wait_until(
      kBootstrapLimit, "node \"" + c.options.node_name + "\" in the API", hint,
      [&]() -> Result<void> {
        LAB_CHECK(cluster->get(client::res::nodes, "", c.options.node_name));
        return {};
      },
      on_state));
  LAB_CHECK(fs::remove_file(kBootstrapConfig));
  c.progress.done();
  std::printf(
      "\nThis node has joined the cluster:\n"
      "* Certificate signing request was sent to apiserver and a response was received.\n"
      "* The Kubelet was informed of the new secure connection details.\n\n"
      "Run 'kubectl get nodes' on the control-plane to see this node join the cluster.\n\n");
  return {};
}

}  // namespace

const std::vector<bootstrap::Phase<JoinContext>>& join_phases() {
  static const std::vector<bootstrap::Phase<JoinContext>> phases{
      {"preflight", "Running pre-flight checks", preflight},
      {"discovery", "Fetching and verifying the cluster's identity", discovery},
      {"kubelet-start", "Starting the kubelet", kubelet_start},
      {"tls-bootstrap", "Waiting for the kubelet to perform the TLS Bootstrap", tls_bootstrap},
  };
  return phases;
}

Result<void> run_join(JoinOptions options) {
  JoinContext c{.options = std::move(options)};
  LAB_CHECK(complete_options(c));
  c.services = bootstrap::ServiceManager::detect();
  c.options.run.on_start = [&](const std::string& path, const std::string& summary) { c.progress.step(path, summary); };
  auto r = bootstrap::run_phases(join_phases(), c, c.options.run);
  c.progress.done();
  return r;
}

}  // namespace lab::join
