#include "bootstrap/init/init.h"

#include <algorithm>
#include <cstdio>

#include "bootstrap/init/from_config.h"
#include "cli/config_flag.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/join_ssh.h"
#include "cli/join_vm.h"
#include "cli/report.h"
#include "cli/runtime.h"
#include "join/from_config.h"
#include "join/join.h"

namespace lab::cli {

namespace {

const std::vector<Option>& common_options() {
  static const std::vector<Option> options{
      kConfigOption,
      {.name = "node-name", .value = "NAME", .help = "Name of this node; default: the host name"},
      {.name = "cri-socket", .value = "SOCKET", .help = "Socket of the container runtime; default: the one found"},
      {.name = "ignore-preflight-errors", .value = "NAMES", .help = "Checks whose errors become warnings; 'all' for all", .repeated = true},
      {.name = "skip-phases", .value = "PHASES", .help = "Phases to leave out", .repeated = true},
      {.name = "dry-run", .help = "Only tell what would be done"},
  };
  return options;
}

std::vector<Option> with_common(std::vector<Option> own) {
  own.insert(own.end(), common_options().begin(), common_options().end());
  return own;
}

std::vector<Option> with_ssh(std::vector<Option> own) {
  for (auto& option : join_ssh_options()) own.push_back(std::move(option));
  for (auto& option : join_vm_options()) own.push_back(std::move(option));
  return own;
}

std::vector<Option> init_options() {
  return with_common({
      {.name = "apiserver-advertise-address", .value = "ADDRESS", .help = "Address at which other nodes reach the API server; default: that of the default route"},
      {.name = "apiserver-bind-port", .value = "PORT", .help = "Port of the API server", .fallback = "6443"},
      {.name = "apiserver-cert-extra-sans", .value = "NAMES", .help = "Further names and addresses in the API server's certificate", .repeated = true},
      {.name = "cert-dir", .value = "DIR", .help = "Where certificates are kept", .fallback = "/etc/kubernetes/pki"},
      {.name = "control-plane-endpoint", .value = "HOST[:PORT]", .help = "A stable name or address for the control plane"},
      {.name = "store", .value = "STORE", .help = "embedded; etcd: a member on every master, so that several can share it; etcd=URL[,URL...]: one that runs elsewhere", .fallback = "embedded"},
      {.name = "upload-certs", .help = "Keep the masters' certificates in the cluster, encrypted, for two hours, so that further masters can join"},
      {.name = "certificate-key", .value = "HEX", .help = "Key that encrypts them; default: a new one"},
      {.name = "pod-network-cidr", .value = "RANGE", .help = "Addresses of pods", .fallback = "10.244.0.0/16"},
      {.name = "service-cidr", .value = "RANGE", .help = "Addresses of services", .fallback = "10.96.0.0/12"},
      {.name = "service-dns-domain", .value = "DOMAIN", .help = "DNS domain of services", .fallback = "cluster.local"},
      {.name = "encrypt", .help = "Encrypt what pods send to pods of other nodes; nodes that join do so, too"},
      {.name = "ipam", .value = "MODE", .help = "Where pods' addresses come from: podcidr: each node has a range; ring: all nodes share one", .fallback = "podcidr", .choices = {"podcidr", "ring"}},
      {.name = "token", .value = "TOKEN", .help = "Token by which nodes join; default: a new one"},
      {.name = "token-ttl", .value = "DURATION", .help = "How long the token is good; 0: for ever", .fallback = "24h"},
      {.name = "key-algorithm", .value = "ALGORITHM", .help = "Keys of certificates", .fallback = "ECDSA-P256", .choices = {"ECDSA-P256", "RSA-2048"}},
      {.name = "skip-token-print", .help = "Withhold the token from the join command at the end"},
      {.name = "kubernetes-version", .value = "VERSION", .help = "Accepted for scripts; this program brings its own"},
      {.name = "image-repository", .value = "HOST/PATH", .help = "Accepted for scripts; nothing is pulled"},
      {.name = "feature-gates", .value = "GATES", .help = "Accepted for scripts; there are none"},
      {.name = "patches", .value = "DIR", .help = "Accepted for scripts; there are no manifests to patch"},
      {.name = "no-taint", .help = "Let ordinary pods run on this master"},
      {.name = "node-monitor-grace-period", .value = "DURATION", .help = "Silence after which a node counts as lost", .fallback = "40s"},
      {.name = "default-toleration-seconds", .value = "SECONDS", .help = "How long pods stay on a lost node", .fallback = "300"},
  });
}

std::vector<Option> join_options() {
  return with_common({
           {.name = "token", .value = "TOKEN", .help = "Bootstrap token, from the master's init or `lab token create`"},
           {.name = "discovery-token-ca-cert-hash", .value = "sha256:HEX", .help = "Pin of the cluster's CA; file:PATH takes it from the certificate there", .repeated = true},
           {.name = "discovery-token-unsafe-skip-ca-verification", .help = "Trust whoever knows the token"},
           {.name = "discovery-file", .value = "FILE", .help = "A kubeconfig that names the cluster, instead of discovery by token"},
           {.name = "control-plane", .help = "Join as a further master (of a cluster begun with init --store etcd)"},
           {.name = "certificate-key", .value = "HEX", .help = "The key that init --upload-certs printed"},
           {.name = "apiserver-advertise-address", .value = "ADDRESS", .help = "Address of this master's API server; default: the node's"},
           {.name = "apiserver-bind-port", .value = "PORT", .help = "Port of this master's API server", .fallback = "6443"},
           {.name = "no-taint", .help = "Let ordinary pods run on this master"},
           {.name = "node-ip", .value = "ADDRESS", .help = "Address of this node; default: that of the default route"},
           {.name = "discovery-token", .value = "TOKEN", .help = "Token for recognising the cluster; default: --token"},
           {.name = "tls-bootstrap-token", .value = "TOKEN", .help = "Token for getting the node's certificate; default: --token"},
  });
}

Result<bootstrap::InitOptions> read_init(const Invocation& in, const std::string& only) {
  bootstrap::InitOptions o;
  o.advertise_address = in.get("apiserver-advertise-address");
  // `hostname -i` may print several addresses: the first one that is not loopback is meant.
  if (o.advertise_address.starts_with("127."))
    for (const auto& a : in.arguments())
      if (!a.starts_with("127.")) {
        o.advertise_address = a;
        break;
      }
  o.bind_port = static_cast<int>(in.number("apiserver-bind-port"));
  if (o.bind_port < 1 || o.bind_port > 65535)
    return fail(Code::kInvalid, "--apiserver-bind-port: " + in.get("apiserver-bind-port") + " is no port");
  o.extra_sans = in.all("apiserver-cert-extra-sans");
  o.cert_dir = in.get("cert-dir");
  o.control_plane_endpoint = in.get("control-plane-endpoint");
  o.store = in.get("store");
  o.upload_certs = in.flag("upload-certs");
  o.certificate_key = in.get("certificate-key");
  o.pod_network_cidr = in.get("pod-network-cidr");
  o.encrypt = in.flag("encrypt");
  o.ipam = in.get("ipam");
  o.service_cidr = in.get("service-cidr");
  o.service_dns_domain = in.get("service-dns-domain");
  o.token = in.get("token");
  LAB_TRY(o.token_ttl, parse_seconds("token-ttl", in.get("token-ttl")));
  if (in.get("key-algorithm") == "RSA-2048") o.key_algorithm = pki::KeyAlgorithm::kRsa2048;
  o.taint_master = !in.flag("no-taint");
  LAB_TRY(o.node_grace, parse_seconds("node-monitor-grace-period", in.get("node-monitor-grace-period")));
  LAB_TRY(o.pod_toleration, parse_seconds("default-toleration-seconds", in.get("default-toleration-seconds")));
  o.node_name = in.get("node-name");
  o.cri_socket = in.get("cri-socket");
  o.ignore_preflight = in.all("ignore-preflight-errors");
  o.run.skip = in.all("skip-phases");
  o.run.dry_run = in.flag("dry-run");
  o.run.only = only;
  o.ask_runtime = ask_runtime;
  o.show_token = !in.flag("skip-token-print");
  if (in.has("config")) {
    o.token.clear();
    LAB_CHECK(with_config(in, [&](auto& file) { return bootstrap::apply_config(file, o); }));
  }
  for (const char* idle : {"kubernetes-version", "image-repository", "feature-gates", "patches"})
    if (in.has(idle) && only.empty()) std::fprintf(stderr, "warning: --%s has no effect\n", idle);
  return o;
}

int run_init(const Invocation& in, const std::string& only) {
  auto options = read_init(in, only);
  if (!options) {
    report(options.error());
    return kUsage;
  }
  return finish(bootstrap::run_init(std::move(*options)));
}

int init(const Invocation& in) { return run_init(in, ""); }

int init_phase(const Invocation& in) {
  std::string only;
  for (const auto& word : in.arguments()) only += (only.empty() ? "" : "/") + word;
  return run_init(in, only);
}

template <class Context>
std::string phase_list(const std::vector<bootstrap::Phase<Context>>& phases) {
  std::vector<std::string> names;
  bootstrap::list_phases(phases, names);
  std::string text = "Phases:\n";
  for (const auto& n : names) text += "  " + n + "\n";
  return text;
}

Result<join::JoinOptions> read_join(const Invocation& in, const std::string& only, const std::string& endpoint) {
  join::JoinOptions o;
  o.endpoint = endpoint;
  o.token = in.has("discovery-token") ? in.get("discovery-token") : in.get("token");
  o.tls_token = in.has("tls-bootstrap-token") ? in.get("tls-bootstrap-token") : in.get("token");
  o.ca_pins = in.all("discovery-token-ca-cert-hash");
  o.unsafe_skip_ca_verification = in.flag("discovery-token-unsafe-skip-ca-verification");
  o.discovery_file = in.get("discovery-file");
  o.node_name = in.get("node-name");
  o.node_ip = in.get("node-ip");
  o.control_plane = in.flag("control-plane");
  o.certificate_key = in.get("certificate-key");
  o.advertise_address = in.get("apiserver-advertise-address");
  o.bind_port = static_cast<int>(in.number("apiserver-bind-port"));
  o.taint_master = !in.flag("no-taint");
  o.cri_socket = in.get("cri-socket");
  o.ignore_preflight = in.all("ignore-preflight-errors");
  o.run.skip = in.all("skip-phases");
  o.run.dry_run = in.flag("dry-run");
  o.run.only = only;
  o.ask_runtime = ask_runtime;
  LAB_CHECK(with_config(in, [&](auto& file) { return join::apply_config(file, o); }));
  return o;
}

int run_join(const Invocation& in, const std::string& only, const std::string& endpoint) {
  auto options = read_join(in, only, endpoint);
  if (!options) {
    report(options.error());
    return kUsage;
  }
  return finish(join::run_join(std::move(*options)));
}

int join(const Invocation& in) {
  if (in.has("vm")) return join_as_vms(in);
  if (in.has("ssh")) return join_over_ssh(in);
  if (in.arguments().size() > 1) {
    report({.code = Code::kInvalid, .message = "\"" + in.argument(1) + "\" is one address too many", .hint = "lab join takes one API server; hosts are joined with --ssh"});
    return kUsage;
  }
  return run_join(in, "", in.argument(0));
}

// lab join phase PHASE [SUBPHASE] [ENDPOINT]: words that go on naming a phase belong to it.
int join_phase(const Invocation& in) {
  std::vector<std::string> known;
  bootstrap::list_phases(join::join_phases(), known);
  std::string only = in.argument(0), endpoint;
  for (std::size_t i = 1; i < in.arguments().size(); ++i) {
    const std::string longer = only + "/" + in.argument(i);
    if (endpoint.empty() && (in.argument(i) == "all" || std::find(known.begin(), known.end(), longer) != known.end()))
      only = longer;
    else
      endpoint = in.argument(i);
  }
  return run_join(in, only, endpoint);
}

}  // namespace

Commands init_commands() {
  return {
      {.path = "init",
       .summary = "Make this machine the master of a new cluster",
       .details = phase_list(bootstrap::init_phases()),
       .arguments = {{"ADDRESSES", "further addresses, as `hostname -i` may print them", false, true}},
       .options = init_options(),
       .run = init},
      {.path = "init phase",
       .summary = "Run one phase of init alone",
       .details = "As in: lab init phase certs apiserver\n\n" + phase_list(bootstrap::init_phases()),
       .arguments = {{"PHASE", "the phase, and below it the sub-phase", true, true}},
       .options = init_options(),
       .run = init_phase},
      {.path = "join",
       .summary = "Make this machine, others over SSH, or new virtual machines nodes of a cluster",
       .details = "On the machine itself:   lab join 10.0.0.1:6443 --token ... --discovery-token-ca-cert-hash sha256:...\n"
                  "From the master, others: lab join --ssh root@10.0.0.3 student@10.0.0.4:2222 ...\n"
                  "Virtual machines:        lab join --vm worker --count 2\n\n" + phase_list(join::join_phases()),
       .arguments = {{"ENDPOINT", "the API server, HOST[:PORT]; with --ssh also further hosts, USER@HOST[:PORT]", false, true}},
       .options = with_ssh(join_options()),
       .run = join},
      {.path = "join phase",
       .summary = "Run one phase of join alone",
       .details = "As in: lab join phase kubelet-start 10.0.0.1:6443 --token ...\n\n" + phase_list(join::join_phases()),
       .arguments = {{"PHASE", "the phase, and after it the API server", true, true}},
       .options = join_options(),
       .run = join_phase},
  };
}

}  // namespace lab::cli
