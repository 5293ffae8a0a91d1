#include "join/join.h"

#include <cstdio>
#include <map>
#include <thread>

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/address.h"
#include "bootstrap/common/cluster.h"
#include "bootstrap/common/images.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/init/certificate_upload.h"
#include "bootstrap/init/master.h"
#include "bootstrap/preflight/preflight.h"
#include "orchestrator/client/client.h"
#include "pki/certificate.h"
#include "pki/kubeconfig.h"

namespace lab::join {

namespace {

constexpr const char* kKubeletConfig = "/etc/kubernetes/kubelet.conf";
constexpr const char* kBootstrapConfig = "/etc/kubernetes/bootstrap-kubelet.conf";
constexpr const char* kCaFile = "/etc/kubernetes/pki/ca.crt";
constexpr auto kDiscoveryPause = std::chrono::milliseconds(250);

// kubeadm's names of phases that are called otherwise here.
const std::map<std::string, std::string> kPhaseAliases{{"kubelet-wait-bootstrap", "tls-bootstrap"}};

Result<void> read_pins(std::vector<std::string>& pins) {
  for (auto& pin : pins) {
    if (!pin.starts_with("file:")) continue;
    LAB_TRY(auto pem, fs::read_file(pin.substr(5)));
    LAB_TRY(pin, pki::pin(pem));
  }
  return {};
}

Result<void> complete_options(JoinContext& c) {
  auto& o = c.options;
  LAB_CHECK(read_pins(o.ca_pins));
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
    c.tls_token = c.token;
  }
  if (!o.tls_token.empty()) {
    LAB_TRY(c.tls_token, pki::BootstrapToken::parse(o.tls_token));
  }
  if (o.node_name.empty()) o.node_name = bootstrap::host_name();
  if (o.node_ip.empty()) {
    LAB_TRY(auto chosen, bootstrap::choose_address_towards(c.host));
    o.node_ip = chosen.address;
  }
  if (o.cri_socket.empty()) o.cri_socket = bootstrap::find_cri_socket();
  if (o.control_plane) LAB_CHECK(bootstrap::parse_certificate_key(o.certificate_key));
  return {};
}

Result<void> preflight(JoinContext& c) {
  bootstrap::PreflightInput input{.control_plane = false, .cri_socket = c.options.cri_socket, .node_name = c.options.node_name,
                                  .image_directory = bootstrap::image_destination(c.options.cri_socket),
                                  .may_change = !c.options.run.dry_run};
  std::vector<std::string> warnings;
  auto verdict = bootstrap::judge_preflight(bootstrap::run_preflight(input), c.options.ignore_preflight, warnings);
  for (const auto& w : warnings) c.progress.warn(w);
  if (!verdict) return verdict;
  // A master's join that was cut off has left its keys; they are compared with the cluster's.
  if (!c.options.control_plane && fs::exists("/etc/kubernetes/pki/ca.key"))
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
    const auto deadline = std::chrono::steady_clock::now() + o.discovery_timeout;
    auto found = discover(c.host, c.port, c.token, o.ca_pins, o.unsafe_skip_ca_verification);
    while (!found && is_unknown_token(found.error()) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(kDiscoveryPause);
      found = discover(c.host, c.port, c.token, o.ca_pins, o.unsafe_skip_ca_verification);
    }
    LAB_TRY(info, std::move(found));
  }
  c.server = info.server;
  c.ca_pem = info.ca_pem;
  return {};
}

// What the master's phases work on: the cluster's settings, read with the token.
Result<void> know_cluster(JoinContext& c, bootstrap::Cluster& cluster) {
  if (c.master) return {};
  const auto& o = c.options;
  auto master = std::make_unique<bootstrap::InitContext>();
  LAB_TRY(master->options, bootstrap::master_settings(
                               cluster, {.node_name = o.node_name,
                                         .advertise_address = o.advertise_address.empty() ? o.node_ip : o.advertise_address,
                                         .cri_socket = o.cri_socket,
                                         .bind_port = o.bind_port,
                                         .certificate_key = o.certificate_key,
                                         .taint = o.taint_master}));
  LAB_CHECK(bootstrap::complete_options(*master));
  master->services = bootstrap::ServiceManager::detect();
  c.master = std::move(master);
  return {};
}

std::unique_ptr<bootstrap::Cluster> with_token(const JoinContext& c) {
  client::RestConfig config;
  config.server = c.server;
  config.ca_pem = c.ca_pem;
  config.token = c.tls_token.text();
  return bootstrap::Cluster::connect(std::move(config));
}

Result<void> control_plane_prepare(JoinContext& c) {
  if (c.server.empty()) LAB_CHECK(discovery(c));   // run alone
  auto cluster = with_token(c);
  LAB_CHECK(know_cluster(c, *cluster));
  return bootstrap::prepare_master(*c.master, *cluster, c.options.certificate_key);
}

Result<void> control_plane_join(JoinContext& c) {
  if (c.server.empty()) LAB_CHECK(discovery(c));
  auto cluster = with_token(c);
  LAB_CHECK(know_cluster(c, *cluster));
  LAB_CHECK(bootstrap::start_master(*c.master));
  c.progress.done();
  std::printf(
      "\nThis node has joined the cluster and a new control plane instance was created:\n"
      "* The Kubelet was informed of the new secure connection details.\n"
      "* Control plane label and taint were applied to the new node.\n"
      "* The Kubernetes control plane instances scaled up.\n"
      "* A new etcd member was added to the local/stacked etcd cluster.\n\n"
      "To start administering your cluster from this node, you need to run the following as a regular user:\n\n"
      "\tmkdir -p $HOME/.kube\n"
      "\tsudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config\n"
      "\tsudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n"
      "Run 'kubectl get nodes' to see this node join the cluster.\n\n");
  return {};
}

bool certificate_in_time(const std::string& pem) {
  auto info = pki::inspect(pem);
  return info && info->not_after > std::chrono::system_clock::now();
}

// A kubelet.conf of an earlier join serves only if it is of the same cluster, and its certificate has not ended.
Result<bool> already_joined(const JoinContext& c) {
  auto config = client::load_kubeconfig(kKubeletConfig);
  if (!config) return false;
  if (config->ca_pem == c.ca_pem && config->server == c.server && certificate_in_time(config->certificate_pem))
    return true;
  // The daemons hold what is about to be removed; they are started anew with what comes.
  for (const char* service : {"lab-agent", "lab-overlay"}) LAB_CHECK(c.services->remove(service));
  LAB_CHECK(fs::remove_file(kKubeletConfig));
  LAB_CHECK(fs::remove_all("/var/lib/kubelet/pki"));
  return false;
}

// A node of this name that lives on another machine must not be taken over; one that is gone, or is this machine made
// anew, is.
Result<void> check_name(bootstrap::Cluster& cluster, const JoinContext& c, bool joined) {
  if (joined) return {};
  auto node = cluster.get(client::res::nodes, "", c.options.node_name);
  if (!node) return {};   // NotFound is what is hoped for; what else is wrong shows in the steps that follow
  bool ready = false;
  for (const auto& condition : json::list(*node, "status", "conditions"))
    ready = ready || (json::str(condition, "type") == "Ready" && json::str(condition, "status") == "True");
  const std::string here = fs::read_file("/etc/machine-id").value_or("");
  const std::string there(json::str(*node, "status", "nodeInfo", "machineID"));
  if (!ready || there.empty() || here.starts_with(there)) return {};
  return fail(Code::kAlreadyExists, "a Node with name \"" + c.options.node_name + "\" and status \"Ready\" already exists in the cluster",
              "join under another name (--node-name), or delete that node first: kubectl delete node " + c.options.node_name);
}

Result<void> images(JoinContext& c) {
  LAB_TRY(auto runtime, bootstrap::start_runtime(*c.services, c.options.cri_socket, c.options.ask_runtime));
  return bootstrap::import_bundled_images(c.options.cri_socket, runtime);
}

// The cluster's, with what this node's own file says on top.
json::Value kubelet_of_node(const json::Value& of_cluster, const json::Value& own) {
  auto out = bootstrap::with_fields(of_cluster, own);
  for (const char* name : {"clusterDNS", "clusterDomain", "nodeLeaseDurationSeconds"})
    if (json::has(of_cluster, name)) json::set(out, json::at(of_cluster, name), name);
  return out;
}

Result<void> kubelet_start(JoinContext& c) {
  if (c.server.empty()) LAB_CHECK(discovery(c));   // run alone
  LAB_TRY(auto runtime, bootstrap::start_runtime(*c.services, c.options.cri_socket, c.options.ask_runtime));
  LAB_CHECK(fs::make_dirs("/etc/kubernetes/pki"));
  LAB_CHECK(fs::write_file(kCaFile, c.ca_pem));
  client::RestConfig config;
  config.server = c.server;
  config.ca_pem = c.ca_pem;
  LAB_TRY(bool joined, already_joined(c));
  if (!joined) {
    pki::KubeconfigSpec spec{.user = "tls-bootstrap-token-user", .server = c.server, .ca_pem = c.ca_pem, .token = c.tls_token.text()};
    LAB_CHECK(fs::write_file(kBootstrapConfig, pki::kubeconfig_text(spec), 0600));
    config.token = c.tls_token.text();
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
      .pod_cidr = std::string(json::str(cluster_config, "networking", "podSubnet")),
      .taints = c.options.taints,
      .overlay = json::str(cluster_map, "data", bootstrap::kOverlayKey) != "manifest",
      .overlay_choice = bootstrap::OverlayChoice::decode(json::at(cluster_map, "data")),
      .runtime = runtime,
      .kubelet = kubelet_of_node(kubelet, c.options.kubelet)};
  if (auto seconds = json::num(kubelet, "nodeLeaseDurationSeconds")) node.lease_seconds = static_cast<int>(seconds);
  for (const auto& f : bootstrap::check_host_routes({.ranges = {node.pod_cidr, node.service_cidr}}))
    c.progress.warn("[" + f.check + "]: " + f.message + "; " + f.fix);
  LAB_CHECK(check_name(*cluster, c, joined));
  return bootstrap::start_node_services(*c.services, node);
}

// Machines made as copies of one another share what should tell them apart.
void warn_of_twins(JoinContext& c, bootstrap::Cluster& cluster) {
  const std::string text = fs::read_file("/etc/machine-id").value_or("");
  const std::string id = text.substr(0, text.find('\n'));
  auto nodes = cluster.list(client::res::nodes);
  if (id.empty() || !nodes) return;
  for (const auto& node : json::list(*nodes, "items"))
    if (json::str(node, "status", "nodeInfo", "machineID") == id &&
        json::str(node, "metadata", "name") != c.options.node_name)
      c.progress.warn("node \"" + std::string(json::str(node, "metadata", "name")) +
                      "\" has the same /etc/machine-id (" + id + "): one of the two is a copy of the other; give this one "
                      "its own: rm /etc/machine-id; systemd-machine-id-setup; then join again");
}

Result<void> tls_bootstrap(JoinContext& c) {
  const std::string hint = "see the agent's log: " + c.services->log_hint("lab-agent");
  auto on_state = [&](const std::string& s) { c.progress.state(s); };
  std::unique_ptr<bootstrap::Cluster> cluster;
  LAB_CHECK(bootstrap::wait_until(
      c.options.tls_bootstrap_timeout, "a signed certificate for node \"" + c.options.node_name + "\"", hint,
      [&]() -> Result<void> {
        LAB_TRY(auto config, client::load_kubeconfig(kKubeletConfig));
        cluster = bootstrap::Cluster::connect(std::move(config));
        return {};
      },
      on_state));
  LAB_CHECK(bootstrap::wait_until(
      c.options.tls_bootstrap_timeout, "node \"" + c.options.node_name + "\" in the API", hint,
      [&]() -> Result<void> {
        LAB_CHECK(cluster->get(client::res::nodes, "", c.options.node_name));
        return {};
      },
      on_state));
  warn_of_twins(c, *cluster);
  LAB_CHECK(fs::remove_file(kBootstrapConfig));
  if (c.options.control_plane) return {};   // it has more to do, and more to say
  c.progress.done();
  std::printf(
      "\nThis node has joined the cluster:\n"
      "* Certificate signing request was sent to apiserver and a response was received.\n"
      "* The Kubelet was informed of the new secure connection details.\n\n"
      "Run 'kubectl get nodes' on the control-plane to see this node join the cluster.\n\n");
  return {};
}

bool joins_as_node(const JoinContext& c) { return !c.options.control_plane; }

using Plan = std::vector<std::string>;

Plan plan_images(JoinContext& c) {
  return {"start the container runtime behind " + c.options.cri_socket + " if it does not answer",
          "import the bundled images into it, those that it lacks"};
}

// Of the cluster's settings nothing is known before the token is used, so the daemons' flags are not told.
Plan plan_kubelet_start(JoinContext& c) {
  return {"write the file \"" + std::string(kCaFile) + "\"", "write the file \"" + std::string(kBootstrapConfig) + "\"",
          "ask " + c.server + " for its ConfigMaps kubeadm-config and kubelet-config",
          "write the file \"" + std::string(bootstrap::kNodeRecord) + "\"",
          "write the file \"" + std::string(bootstrap::kKubeletConfigFile) + "\"",
          "start the services lab-agent and lab-overlay as node \"" + c.options.node_name + "\" at " + c.options.node_ip};
}

Plan plan_tls_bootstrap(JoinContext& c) {
  return {"wait up to " + std::to_string(c.options.tls_bootstrap_timeout.count()) + " s for the certificate of node \"" +
              c.options.node_name + "\" and for the node in the API",
          "remove the file \"" + std::string(kBootstrapConfig) + "\""};
}

}  // namespace

const std::vector<bootstrap::Phase<JoinContext>>& join_phases() {
  using P = bootstrap::Phase<JoinContext>;
  static const std::vector<P> phases{
      P{.name = "preflight", .summary = "Running pre-flight checks", .run = preflight, .reads_only = true},
      P{.name = "discovery", .summary = "Fetching and verifying the cluster's identity", .run = discovery, .reads_only = true},
      P{.name = "control-plane-prepare", .summary = "Fetching the masters' certificates and making those of this one", .run = control_plane_prepare, .skip = joins_as_node,
        .plan = [](JoinContext&) { return Plan{"decrypt Secret kube-system/kubeadm-certs into /etc/kubernetes/pki", "write certificates and kubeconfig files of this master"}; }},
      P{.name = "images", .summary = "Importing the bundled images into the container runtime", .run = images, .plan = plan_images},
      P{.name = "kubelet-start", .summary = "Starting the kubelet", .run = kubelet_start, .plan = plan_kubelet_start},
      P{.name = "tls-bootstrap", .summary = "Waiting for the kubelet to perform the TLS Bootstrap", .run = tls_bootstrap, .plan = plan_tls_bootstrap},
      P{.name = "control-plane-join", .summary = "Adding an etcd member and starting the control plane", .run = control_plane_join, .skip = joins_as_node,
        .plan = [](JoinContext&) { return Plan{"add this machine to the masters' etcd and start the service lab-etcd", "start the service lab-server", "mark the node as control-plane"}; }},
  };
  return phases;
}

Result<void> run_join(JoinOptions options) {
  JoinContext c{.options = std::move(options)};
  LAB_CHECK(complete_options(c));
  LAB_CHECK(bootstrap::resolve_phases(join_phases(), "lab join", c.options.run, kPhaseAliases));
  c.services = bootstrap::ServiceManager::detect();
  c.options.run.on_start = [&](const std::string& path, const std::string& summary) { c.progress.step(path, summary); };
  c.options.run.on_plan = [&](const std::string& line) { c.progress.note("[dryrun] Would " + line); };
  auto r = bootstrap::run_phases(join_phases(), c, c.options.run);
  c.progress.done();
  if (r && c.options.run.dry_run)
    c.progress.note("[dryrun] Finished dry-running successfully. Nothing on this machine was changed.");
  return r;
}

}  // namespace lab::join
