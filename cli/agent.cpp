// lab agent: the kubelet's role, the service proxy and the cluster's name server on one node, in one process. Each is a
// client of the API and knows nothing of the others.
#include "orchestrator/agent/agent.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "base/fs.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "base/netlink/address.h"
#include "base/yaml/yaml.h"
#include "bootstrap/services/service_manager.h"
#include "cli/daemon.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "join/keeper.h"
#include "join/repoint.h"
#include "join/tls_bootstrap.h"
#include "orchestrator/agent/configuration.h"
#include "orchestrator/client/client.h"
#include "orchestrator/dns/server.h"
#include "orchestrator/proxy/proxy.h"

namespace lab::cli {

namespace {

constexpr const char* kPkiDirectory = "/var/lib/kubelet/pki";
constexpr const char* kClientCa = "/etc/kubernetes/pki/ca.crt";

// "key=value:Effect" or "key:Effect"
Result<agent::Taint> parse_taint(const std::string& text) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos)
    return fail(Code::kInvalid, "--register-with-taints: \"" + text + "\" is no taint", "write it as key=value:NoSchedule");
  auto equals = text.substr(0, colon).find('=');
  return agent::Taint{text.substr(0, std::min(equals, colon)),
                      equals == std::string::npos ? "" : text.substr(equals + 1, colon - equals - 1), text.substr(colon + 1)};
}

// The clients of the API keep connections to an address that is gone; daemons that start anew do not. Pods live on.
Result<void> follow_master(const std::string& kubeconfig, const std::string& server) {
  LAB_CHECK(join::repoint_kubeconfig(kubeconfig, server));
  log::info("the master has another address; starting anew", {{"server", server}});
  std::thread([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the answer is on its way
    auto services = bootstrap::ServiceManager::detect();
    if (auto again = services->restart("lab-overlay"); !again)
      log::warn("the pod network's daemon could not be restarted", {{"why", again.error().text()}});
    std::_Exit(0);
  }).detach();
  return {};
}

Result<void> apply_file(const std::string& path, agent::AgentOptions& o) {
  LAB_TRY(auto text, fs::read_file(path));
  auto document = yaml::parse(text);
  if (!document) return std::unexpected(std::move(document).error().with_context(path));
  std::vector<std::string> notes;
  if (auto done = agent::apply_configuration(*document, o, &notes); !done)
    return std::unexpected(std::move(done).error().with_context(path));
  for (const auto& note : notes) log::warn("the kubelet's configuration: " + note);
  return {};
}

Result<agent::AgentOptions> agent_options(const Invocation& in) {
  agent::AgentOptions o;
  o.node_name = in.get("hostname-override");
  o.node_ip = in.get("node-ip");
  o.cri_socket = in.get("container-runtime-endpoint");
  if (o.cri_socket.starts_with("unix://")) o.cri_socket.erase(0, 7);
  o.cluster_dns = in.all("cluster-dns");
  o.cluster_domain = in.get("cluster-domain");
  for (const auto& text : in.all("register-with-taints")) {
    LAB_TRY(auto taint, parse_taint(text));
    o.register_taints.push_back(std::move(taint));
  }
  o.node_lease_interval = std::chrono::seconds(in.number("node-lease-seconds"));
  o.cgroup_driver = in.get("cgroup-driver");
  if (in.has("config")) LAB_CHECK(apply_file(in.get("config"), o));
  if (in.has("pod-manifest-path")) o.static_pod_path = in.get("pod-manifest-path");
  LAB_TRY(auto serving, join::ensure_serving_certificate(kPkiDirectory, o.node_name, o.node_ip));
  o.serving_certificate_pem = serving.certificate_pem;
  o.serving_key_pem = serving.key_pem;
  LAB_TRY(o.client_ca_pem, fs::read_file(kClientCa));
  o.follow_master = [kubeconfig = in.get("kubeconfig")](const std::string& server) { return follow_master(kubeconfig, server); };
  return o;
}

struct Parts {
  std::unique_ptr<client::Client> api;
  std::unique_ptr<agent::Agent> kubelet;
  std::unique_ptr<proxy::ServiceProxy> proxy;
  std::unique_ptr<dns::DnsServer> dns;
};

proxy::ProxyOptions proxy_options(const Invocation& in, client::Client* api) {
  proxy::ProxyOptions o{.client = api, .node_name = in.get("hostname-override")};
  o.service_cidr = Cidr::parse(in.get("service-cluster-ip-range")).value_or(Cidr());
  if (auto pods = Cidr::parse(in.get("cluster-cidr"))) o.pod_cidrs.push_back(*pods);
  for (const auto& text : in.all("cluster-dns"))
    if (auto address = IpAddress::parse(text)) o.served_here.push_back(*address);
  return o;
}

// systemd-resolved answers at a loopback address and keeps the network's own servers in a file beside it.
std::vector<std::string> upstreams(const IpAddress& self) {
  std::vector<std::string> found;
  for (const char* path : {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}) {
    auto text = fs::read_file(path);
    if (!text) continue;
    auto servers = dns::upstreams_of_resolv_conf(*text, self);
    const bool real = std::any_of(servers.begin(), servers.end(), [](const auto& s) { return !s.starts_with("127."); });
    if (found.empty() || real) found = std::move(servers);
    if (real) break;
  }
  return found;
}

Result<void> start_parts(const Invocation& in, const client::RestConfig& config, agent::AgentOptions options, Scope& scope, Parts& parts) {
  Loop& loop = scope.loop();
  parts.api = std::make_unique<client::Client>(client::make_https_transport(config));
  parts.kubelet = std::make_unique<agent::Agent>(std::move(options), parts.api.get(), loop);
  LAB_CHECK(parts.kubelet->start(scope));
  parts.proxy = std::make_unique<proxy::ServiceProxy>(proxy_options(in, parts.api.get()));
  LAB_CHECK(parts.proxy->start(scope));
  auto address = IpAddress::parse(in.get("cluster-dns"));
  if (!address) return {};   // no name server of the cluster was asked for
  dns::DnsOptions names{.client = parts.api.get(), .domain = in.get("cluster-domain"), .address = *address};
  names.forward.upstreams = upstreams(*address);
  parts.dns = std::make_unique<dns::DnsServer>(std::move(names));
  return parts.dns->start(scope);
}

Result<void> run_agent(const Invocation& in) {
  block_stop_signals();
  LoopThread thread("agent");
  std::thread([] {   // ends the process at a signal also while credentials are awaited; pods and rules live on by design
    wait_for_stop();
    std::_Exit(0);
  }).detach();
  const join::TlsBootstrapOptions credentials{.bootstrap_kubeconfig = in.get("bootstrap-kubeconfig"),
                                              .kubeconfig = in.get("kubeconfig"),
                                              .pki_directory = kPkiDirectory,
                                              .node_name = in.get("hostname-override")};
  LAB_CHECK(join::ensure_client_certificate(credentials));
  LAB_TRY(auto config, client::load_kubeconfig(in.get("kubeconfig")));
  config.user_agent = "lab-agent";
  LAB_TRY(auto options, agent_options(in));
  Parts parts;
  join::CredentialKeeper keeper({.credentials = credentials, .version = LAB_VERSION, .node_address = in.get("node-ip"), .on_ca = [&](const std::string& bundle) {
                                   if (auto r = parts.kubelet->reload_client_ca(bundle); !r)
                                     log::error("the CA bundle could not be used", {{"why", r.error().text()}});
                                 },
                                 .on_token_key = [&] { parts.kubelet->renew_tokens(); },
                                 .on_serving = [&](const join::ServingCertificate& now) {
                                   if (auto r = parts.kubelet->reload_tls(now.certificate_pem, now.key_pem); !r)
                                     log::error("the serving certificate could not be used", {{"why", r.error().text()}});
                                 }});
  options.node_call = [&keeper](const std::string& method, const std::string&) -> Result<std::string> {
    if (method == "POST") keeper.poke();
    return json::dump(keeper.state());
  };
  Scope scope(thread.loop());
  Result<void> started;
  on_loop(thread.loop(), [&] { started = start_parts(in, config, std::move(options), scope, parts); });
  if (!started) {
    log::error("the agent could not start", {{"why", started.error().text()}});
    std::_Exit(1);
  }
  keeper.run();
}

}  // namespace

Commands agent_commands() {
  return {{.path = "agent",
           .summary = "Run the node agent: pods, service proxy, name server",
           .options = {{.name = "kubeconfig", .value = "FILE", .help = "The node's credentials", .fallback = "/etc/kubernetes/kubelet.conf"},
                       {.name = "bootstrap-kubeconfig", .value = "FILE", .help = "Credentials for getting them", .fallback = "/etc/kubernetes/bootstrap-kubelet.conf"},
                       {.name = "config", .value = "FILE", .help = "A KubeletConfiguration; flags come before what it says"},
                       {.name = "hostname-override", .value = "NAME", .help = "Name of the node"},
                       {.name = "node-ip", .value = "ADDRESS", .help = "Address of the node"},
                       {.name = "container-runtime-endpoint", .value = "SOCKET", .help = "The container runtime", .fallback = "unix:///run/containerd/containerd.sock"},
                       {.name = "cluster-dns", .value = "ADDRESS", .help = "The cluster's name server, which answers on every node", .repeated = true},
                       {.name = "cluster-domain", .value = "DOMAIN", .help = "DNS domain of services", .fallback = "cluster.local"},
                       {.name = "service-cluster-ip-range", .value = "RANGE", .help = "Addresses of services", .fallback = "10.96.0.0/12"},
                       {.name = "cluster-cidr", .value = "RANGE", .help = "Addresses of pods", .fallback = "10.244.0.0/16"},
                       {.name = "pod-manifest-path", .value = "DIR", .help = "Static pods", .fallback = "/etc/kubernetes/manifests"},
                       {.name = "cgroup-driver", .value = "NAME", .help = "Who makes cgroups; as the runtime is configured", .fallback = "cgroupfs", .choices = {"cgroupfs", "systemd"}},
                       {.name = "node-lease-seconds", .value = "N", .help = "How often the node says that it lives", .fallback = "10"},
                       {.name = "register-with-taints", .value = "TAINT", .help = "Taints of the new node", .repeated = true}},
           .run = [](const Invocation& in) { return finish(run_agent(in)); },
           .hidden = true}};
}

}  // namespace lab::cli
