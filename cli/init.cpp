#include "bootstrap/init/init.h"

#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/join_ssh.h"
#include "cli/report.h"
#include "join/join.h"

namespace lab::cli {

namespace {

const std::vector<Option>& common_options() {
  static const std::vector<Option> options{
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
  return own;
}

std::vector<Option> init_options() {
  return with_common({
      {.name = "apiserver-advertise-address", .value = "ADDRESS", .help = "Address at which other nodes reach the API server; default: that of the default route"},
      {.name = "apiserver-bind-port", .value = "PORT", .help = "Port of the API server", .fallback = "6443"},
      {.name = "apiserver-cert-extra-sans", .value = "NAMES", .help = "Further names and addresses in the API server's certificate", .repeated = true},
      {.name = "cert-dir", .value = "DIR", .help = "Where certificates are kept", .fallback = "/etc/kubernetes/pki"},
      {.name = "control-plane-endpoint", .value = "HOST[:PORT]", .help = "A stable name or address for the control plane"},
      {.name = "pod-network-cidr", .value = "RANGE", .help = "Addresses of pods", .fallback = "10.244.0.0/16"},
      {.name = "service-cidr", .value = "RANGE", .help = "Addresses of services", .fallback = "10.96.0.0/12"},
      {.name = "service-dns-domain", .value = "DOMAIN", .help = "DNS domain of services", .fallback = "cluster.local"},
      {.name = "token", .value = "TOKEN", .help = "Token by which nodes join; default: a new one"},
      {.name = "token-ttl", .value = "DURATION", .help = "How long the token is good; 0: for ever", .fallback = "24h"},
      {.name = "key-algorithm", .value = "ALGORITHM", .help = "Keys of certificates", .fallback = "ECDSA-P256", .choices = {"ECDSA-P256", "RSA-2048"}},
      {.name = "no-taint", .help = "Let ordinary pods run on this master"},
      {.name = "node-monitor-grace-period", .value = "DURATION", .help = "Silence after which a node counts as lost", .fallback = "40s"},
      {.name = "default-toleration-seconds", .value = "SECONDS", .help = "How long pods stay on a lost node", .fallback = "300"},
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
  o.pod_network_cidr = in.get("pod-network-cidr");
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
  return o;
}

int init(const Invocation& in) {
  auto options = read_init(in, "");
  if (!options) {
    report(options.error());
    return kUsage;
  }
  return finish(bootstrap::run_init(std::move(*options)));
}

int init_phase(const Invocation& in) {
  std::string only;
  for (const auto& word : in.arguments()) only += (only.empty() ? "" : "/") + word;
  auto options = read_init(in, only);
  if (!options) {
    report(options.error());
    return kUsage;
  }
  return finish(bootstrap::run_init(std::move(*options)));
}

template <class Context>
std::string phase_list(const std::vector<bootstrap::Phase<Context>>& phases) {
  std::vector<std::string> names;
  bootstrap::list_phases(phases, names);
  std::string text = "Phases:\n";
  for (const auto& n : names) text += "  " + n + "\n";
  return text;
}

int join(const Invocation& in) {
  if (in.has("ssh")) return join_over_ssh(in);
  if (in.arguments().size() > 1) {
    report({.code = Code::kInvalid, .message = "\"" + in.argument(1) + "\" is one address too many", .hint = "lab join takes one API server; hosts are joined with --ssh"});
    return kUsage;
  }
  join::JoinOptions o;
  o.endpoint = in.argument(0);
  o.token = in.get("token");
  o.ca_pins = in.all("discovery-token-ca-cert-hash");
  o.unsafe_skip_ca_verification = in.flag("discovery-token-unsafe-skip-ca-verification");
  o.discovery_file = in.get("discovery-file");
  o.node_name = in.get("node-name");
  o.node_ip = in.get("node-ip");
  o.cri_socket = in.get("cri-socket");
  o.ignore_preflight = in.all("ignore-preflight-errors");
  o.run.skip = in.all("skip-phases");
  o.run.dry_run = in.flag("dry-run");
  return finish(join::run_join(std::move(o)));
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
       .summary = "Make this machine, or others over SSH, a node of a cluster",
       .details = "On the machine itself:   lab join 10.0.0.1:6443 --token ... --discovery-token-ca-cert-hash sha256:...\n"
                  "From the master, others: lab join --ssh root@10.0.0.3 student@10.0.0.4:2222 ...\n\n" + phase_list(join::join_phases()),
       .arguments = {{"ENDPOINT", "the API server, HOST[:PORT]; with --ssh also further hosts, USER@HOST[:PORT]", false, true}},
       .options = with_ssh(with_common({
           {.name = "token", .value = "TOKEN", .help = "Bootstrap token, from the master's init or `lab token create`"},
           {.name = "discovery-token-ca-cert-hash", .value = "sha256:HEX", .help = "Pin of the cluster's CA", .repeated = true},
           {.name = "discovery-token-unsafe-skip-ca-verification", .help = "Trust whoever knows the token"},
           {.name = "discovery-file", .value = "FILE", .help = "A kubeconfig that names the cluster, instead of discovery by token"},
           {.name = "node-ip", .value = "ADDRESS", .help = "Address of this node; default: that of the default route"},
       })),
       .run = join},
  };
}

}  // namespace lab::cli
