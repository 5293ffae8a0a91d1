#include "bootstrap/init/init.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "base/fs.h"
#include "bootstrap/common/address.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/init/certificate_upload.h"
#include "bootstrap/init/master.h"
#include "bootstrap/init/plan.h"

namespace lab::bootstrap {

namespace {

constexpr std::uint64_t kSmallestServiceRange = 16;


Result<void> check_node_name(const std::string& name) {
  bool ok = !name.empty() && name.size() <= 253 && std::isalnum(static_cast<unsigned char>(name.front())) &&
            std::isalnum(static_cast<unsigned char>(name.back()));
  for (char c : name) ok = ok && (std::islower(static_cast<unsigned char>(c)) || std::isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '.');
  if (ok) return {};
  return fail(Code::kInvalid, "the node name \"" + name + "\" is no DNS name: lower-case letters, digits, '-' and '.'",
              "give another with --node-name");
}

Result<void> check_ranges(const InitOptions& o) {
  LAB_TRY(auto services, parse_range(o.service_cidr));
  LAB_TRY(auto pods, parse_range(o.pod_network_cidr));
  LAB_TRY(auto address, parse_address(o.advertise_address));
  if (services.size() < kSmallestServiceRange)
    return fail(Code::kInvalid, "the service range " + o.service_cidr + " is too small", "use a /28 or larger");
  if (pods.prefix > 22)
    return fail(Code::kInvalid, "the pod range " + o.pod_network_cidr + " holds fewer than 4 nodes of /24",
                "use a /22 or larger");
  if (services.contains(pods.base) || pods.contains(services.base))
    return fail(Code::kInvalid, "the pod range " + o.pod_network_cidr + " and the service range " + o.service_cidr + " overlap",
                "choose others with --pod-network-cidr and --service-cidr");
  for (const auto& [range, flag] : {std::pair{services, "--service-cidr"}, std::pair{pods, "--pod-network-cidr"}})
    if (range.contains(address))
      return fail(Code::kInvalid, "the address " + o.advertise_address + " of this machine lies in the range " + range.text(),
                  std::string("choose another range with ") + flag);
  return {};
}

template <const char* const* N>
Result<void> certificate(InitContext& c) { return certificate_phase(c, *N); }
template <const char* const* N>
Result<void> kubeconfig(InitContext& c) { return kubeconfig_phase(c, *N); }
template <const char* const* N>
std::vector<std::string> plan_certificate(InitContext& c) { return certificate_plan(c, *N); }
template <const char* const* N>
std::vector<std::string> plan_kubeconfig(InitContext& c) { return kubeconfig_plan(c, *N); }

constexpr const char* kCa = "ca";
constexpr const char* kApiserver = "apiserver";
constexpr const char* kKubeletClient = "apiserver-kubelet-client";
constexpr const char* kFrontProxyCa = "front-proxy-ca";
constexpr const char* kFrontProxyClient = "front-proxy-client";
constexpr const char* kSa = "sa";
constexpr const char* kEtcdCa = "etcd/ca";
constexpr const char* kEtcdServer = "etcd/server";
constexpr const char* kEtcdPeer = "etcd/peer";
constexpr const char* kEtcdHealth = "etcd/healthcheck-client";
constexpr const char* kApiserverEtcd = "apiserver-etcd-client";
constexpr const char* kAdmin = "admin";
constexpr const char* kSuperAdmin = "super-admin";
constexpr const char* kKubelet = "kubelet";
constexpr const char* kControllerManager = "controller-manager";
constexpr const char* kScheduler = "scheduler";

// kubeadm's names of phases that are called otherwise here.
const std::map<std::string, std::string> kPhaseAliases{
    {"addon/coredns", "addon/dns"},
    {"addon/kube-proxy", "addon/proxy"},
};

template <const char* const* N>
Phase<InitContext> certificate_row(std::string what = "certificate and key") {
  return {.name = *N, .summary = "Generating \"" + std::string(*N) + "\" " + what, .run = certificate<N>, .plan = plan_certificate<N>};
}
// kubeadm's phase names have a dash where the file lies in a folder.
template <const char* const* N>
Phase<InitContext> etcd_certificate_row() {
  auto row = certificate_row<N>();
  if (row.name.starts_with("etcd/")) row.name[4] = '-';
  row.skip = [](const InitContext& c) { return !uses_etcd(c); };
  return row;
}
template <const char* const* N>
Phase<InitContext> kubeconfig_row() {
  return {.name = *N, .summary = "Writing \"" + std::string(*N) + ".conf\" kubeconfig file", .run = kubeconfig<N>, .plan = plan_kubeconfig<N>};
}

}  // namespace

const std::vector<Phase<InitContext>>& init_phases() {
  using P = Phase<InitContext>;
  static const std::vector<P> phases{
      P{.name = "preflight", .summary = "Running pre-flight checks", .run = preflight_phase, .reads_only = true},
      P{.name = "certs", .summary = "Certificates of the control plane", .children = {
          certificate_row<&kCa>(), certificate_row<&kApiserver>(), certificate_row<&kKubeletClient>(),
          certificate_row<&kFrontProxyCa>(), certificate_row<&kFrontProxyClient>(), certificate_row<&kSa>("key and public key"),
          etcd_certificate_row<&kEtcdCa>(), etcd_certificate_row<&kEtcdServer>(), etcd_certificate_row<&kEtcdPeer>(),
          etcd_certificate_row<&kEtcdHealth>(), etcd_certificate_row<&kApiserverEtcd>(),
      }},
      P{.name = "kubeconfig", .summary = "Kubeconfig files", .children = {
          kubeconfig_row<&kAdmin>(), kubeconfig_row<&kSuperAdmin>(), kubeconfig_row<&kKubelet>(),
          kubeconfig_row<&kControllerManager>(), kubeconfig_row<&kScheduler>(),
      }},
      P{.name = "etcd", .summary = "Starting etcd", .children = {
          P{.name = "local", .summary = "Starting a local, single-member etcd", .run = etcd_phase,
            .skip = [](const InitContext& c) { return !uses_etcd(c); },
            .plan = [](InitContext&) { return std::vector<std::string>{"start the service lab-etcd"}; }},
      }},
      P{.name = "control-plane", .summary = "Starting the control plane", .run = control_plane_phase, .plan = plan_control_plane},
      P{.name = "images", .summary = "Importing the bundled images into the container runtime", .run = images_phase, .plan = plan_images},
      P{.name = "kubelet-start", .summary = "Starting the kubelet", .run = kubelet_start_phase, .plan = plan_kubelet_start},
      P{.name = "wait-control-plane", .summary = "Waiting for the control plane to become ready", .run = wait_control_plane_phase, .plan = plan_wait},
      P{.name = "upload-config", .summary = "The configuration, for those who join", .children = {
          P{.name = "kubeadm", .summary = "Storing the configuration used in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace", .run = upload_kubeadm_config_phase, .plan = plan_kubeadm_config},
          P{.name = "kubelet", .summary = "Creating a ConfigMap \"kubelet-config\" in namespace kube-system with the configuration for the kubelets in the cluster", .run = upload_kubelet_config_phase, .plan = plan_kubelet_config},
      }},
      P{.name = "upload-certs", .summary = "Keeping the certificates that masters share in the cluster", .run = upload_certs_phase,
        .skip = [](const InitContext& c) { return !c.options.upload_certs; },
        .plan = [](InitContext&) { return std::vector<std::string>{"store the masters' certificates, encrypted, in Secret kube-system/kubeadm-certs"}; }},
      P{.name = "mark-control-plane", .summary = "Marking the node as control-plane", .run = mark_control_plane_phase, .plan = plan_mark},
      P{.name = "bootstrap-token", .summary = "Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles", .run = bootstrap_token_phase, .plan = plan_tokens},
      P{.name = "addon", .summary = "Addons", .children = {
          P{.name = "overlay-net", .summary = "Applied essential addon: overlay-net", .run = addon_overlay_phase, .plan = plan_overlay},
          P{.name = "dns", .summary = "Applied essential addon: dns", .run = addon_dns_phase, .plan = plan_dns},
          P{.name = "proxy", .summary = "Applied essential addon: proxy", .run = addon_proxy_phase, .plan = plan_proxy},
          P{.name = "storage", .summary = "Applied essential addon: storage", .run = addon_storage_phase, .plan = plan_storage},
      }},
      P{.name = "show-join-command", .summary = "Showing the join command", .run = join_command_phase},
  };
  return phases;
}

std::string InitContext::endpoint() const {
  if (!options.control_plane_endpoint.empty()) {
    const auto& e = options.control_plane_endpoint;
    return e.find(':') == std::string::npos ? e + ":" + std::to_string(options.bind_port) : e;
  }
  return options.advertise_address + ":" + std::to_string(options.bind_port);
}

pki::CertificateSetOptions InitContext::certificate_options() const {
  pki::CertificateSetOptions o;
  o.directory = options.cert_dir;
  o.node_name = options.node_name;
  o.advertise_address = options.advertise_address;
  o.service_address = service_address;
  o.service_dns_domain = options.service_dns_domain;
  o.control_plane_endpoint = options.control_plane_endpoint.substr(0, options.control_plane_endpoint.find(':'));
  o.extra_sans = options.extra_sans;
  o.algorithm = options.key_algorithm;
  o.validity = options.certificate_validity;
  o.ca_validity = options.ca_validity;
  return o;
}

std::vector<std::string> InitContext::node_taints() const {
  if (options.taints) return *options.taints;
  if (!options.taint_master) return {};
  return {std::string(kControlPlaneTaint) + ":NoSchedule"};
}

Result<Cluster*> InitContext::cluster() {
  if (!admin) {
    LAB_TRY(auto config, client::load_kubeconfig(fs::join(kKubernetesDirectory, "super-admin.conf")));
    admin = Cluster::connect(std::move(config));
  }
  return admin.get();
}

Result<void> complete_options(InitContext& c) {
  auto& o = c.options;
  if (o.cert_dir.empty()) o.cert_dir = fs::join(kKubernetesDirectory, "pki");
  if (o.node_name.empty()) o.node_name = host_name();
  LAB_CHECK(check_node_name(o.node_name));
  if (o.advertise_address.empty()) {
    LAB_TRY(auto chosen, choose_advertise_address());
    o.advertise_address = chosen.address;
    c.progress.note("[init] Using " + chosen.address + " as the API server's address (" + chosen.why + ")");
  }
  LAB_TRY(auto address, parse_address(o.advertise_address));
  if (address >> 24 == 127)
    return fail(Code::kInvalid, "the advertise address " + o.advertise_address + " is a loopback address: other nodes could not reach it",
                "this machine's /etc/hosts probably maps its name to 127.0.0.1; give the address of an interface (ip -4 addr)");
  LAB_CHECK(check_ranges(o));
  LAB_TRY(auto services, parse_range(o.service_cidr));
  c.service_address = services.nth(1);
  c.dns_address = o.dns_address.empty() ? services.nth(10) : o.dns_address;
  LAB_TRY(auto dns, parse_address(c.dns_address));
  if (!services.contains(dns))
    return fail(Code::kInvalid, "the name server's address " + c.dns_address + " lies outside the service range " + o.service_cidr,
                "choose one inside of it (clusterDNS of KubeletConfiguration)");
  if (o.store != "embedded" && o.store != "etcd" && !o.store.starts_with("etcd="))
    return fail(Code::kInvalid, "--store " + o.store + " is unknown", "embedded, etcd (on every master), or etcd=https://HOST:2379[,...]");
  if (!o.certificate_key.empty()) LAB_CHECK(parse_certificate_key(o.certificate_key));
  if (o.cri_socket.empty()) o.cri_socket = find_cri_socket();
  if (!o.tokens.empty()) {
    c.token = o.tokens.front().token;
  } else if (o.token.empty()) {
    c.token = pki::BootstrapToken::generate();
  } else {
    LAB_TRY(c.token, pki::BootstrapToken::parse(o.token));
  }
  return resolve_phases(init_phases(), "lab init", o.run, kPhaseAliases);
}

Result<void> run_init(InitOptions options) {
  InitContext c{.options = std::move(options)};
  LAB_CHECK(complete_options(c));
  c.services = ServiceManager::detect();
  c.options.run.on_start = [&](const std::string& path, const std::string& summary) {
    c.progress.step(path.substr(0, path.find('/')), summary);
  };
  c.options.run.on_plan = [&](const std::string& line) { c.progress.note("[dryrun] Would " + line); };
  auto r = run_phases(init_phases(), c, c.options.run);
  c.progress.done();
  if (r && c.options.run.dry_run)
    c.progress.note("[dryrun] Finished dry-running successfully. Nothing on this machine was changed.");
  return r;
}

}  // namespace lab::bootstrap
