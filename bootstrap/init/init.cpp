#include "bootstrap/init/init.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "base/fs.h"
#include "bootstrap/common/address.h"
#include "bootstrap/common/runtime.h"

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

constexpr const char* kCa = "ca";
constexpr const char* kApiserver = "apiserver";
constexpr const char* kKubeletClient = "apiserver-kubelet-client";
constexpr const char* kFrontProxyCa = "front-proxy-ca";
constexpr const char* kFrontProxyClient = "front-proxy-client";
constexpr const char* kSa = "sa";
constexpr const char* kAdmin = "admin";
constexpr const char* kSuperAdmin = "super-admin";
constexpr const char* kKubelet = "kubelet";
constexpr const char* kControllerManager = "controller-manager";
constexpr const char* kScheduler = "scheduler";

}  // namespace

const std::vector<Phase<InitContext>>& init_phases() {
  using P = Phase<InitContext>;
  static const std::vector<P> phases{
      P{"preflight", "Running pre-flight checks", preflight_phase},
      P{"certs", "Certificates of the control plane", nullptr, {
          P{"ca", "Generating \"ca\" certificate and key", certificate<&kCa>},
          P{"apiserver", "Generating \"apiserver\" certificate and key", certificate<&kApiserver>},
          P{"apiserver-kubelet-client", "Generating \"apiserver-kubelet-client\" certificate and key", certificate<&kKubeletClient>},
          P{"front-proxy-ca", "Generating \"front-proxy-ca\" certificate and key", certificate<&kFrontProxyCa>},
          P{"front-proxy-client", "Generating \"front-proxy-client\" certificate and key", certificate<&kFrontProxyClient>},
          P{"sa", "Generating \"sa\" key and public key", certificate<&kSa>},
      }},
      P{"kubeconfig", "Kubeconfig files", nullptr, {
          P{"admin", "Writing \"admin.conf\" kubeconfig file", kubeconfig<&kAdmin>},
          P{"super-admin", "Writing \"super-admin.conf\" kubeconfig file", kubeconfig<&kSuperAdmin>},
          P{"kubelet", "Writing \"kubelet.conf\" kubeconfig file", kubeconfig<&kKubelet>},
          P{"controller-manager", "Writing \"controller-manager.conf\" kubeconfig file", kubeconfig<&kControllerManager>},
          P{"scheduler", "Writing \"scheduler.conf\" kubeconfig file", kubeconfig<&kScheduler>},
      }},
      P{"control-plane", "Starting the control plane", control_plane_phase},
      P{"kubelet-start", "Starting the kubelet", kubelet_start_phase},
      P{"wait-control-plane", "Waiting for the control plane to become ready", wait_control_plane_phase},
      P{"upload-config", "Storing the configuration used in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace", upload_config_phase},
      P{"mark-control-plane", "Marking the node as control-plane", mark_control_plane_phase},
      P{"bootstrap-token", "Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles", bootstrap_token_phase},
      P{"addon", "Addons", nullptr, {
          P{"overlay-net", "Applied essential addon: overlay-net", addon_overlay_phase},
          P{"dns", "Applied essential addon: dns", addon_dns_phase},
          P{"proxy", "Applied essential addon: proxy", addon_proxy_phase},
      }},
      P{"show-join-command", "Showing the join command", join_command_phase},
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
  return o;
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
  c.dns_address = services.nth(10);
  if (o.cri_socket.empty()) o.cri_socket = find_cri_socket();
  if (o.token.empty()) {
    c.token = pki::BootstrapToken::generate();
  } else {
    LAB_TRY(c.token, pki::BootstrapToken::parse(o.token));
  }
  std::vector<std::string> known;
  list_phases(init_phases(), known);
  auto check = [&](const std::string& name) -> Result<void> {
    if (name.empty() || std::find(known.begin(), known.end(), name) != known.end()) return {};
    return fail(Code::kInvalid, "there is no phase \"" + name + "\"", "lab init --help lists them");
  };
  for (const auto& name : o.run.skip) LAB_CHECK(check(name));
  return check(o.run.only);
}

Result<void> run_init(InitOptions options) {
  InitContext c{.options = std::move(options)};
  LAB_CHECK(complete_options(c));
  c.services = ServiceManager::detect();
  c.options.run.on_start = [&](const std::string& path, const std::string& summary) {
    c.progress.step(path.substr(0, path.find('/')), summary);
  };
  auto r = run_phases(init_phases(), c, c.options.run);
  c.progress.done();
  return r;
}

}  // namespace lab::bootstrap
