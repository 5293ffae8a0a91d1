#include "bootstrap/common/node_services.h"

#include <algorithm>

#include "base/fs.h"
#include "base/json.h"
#include "bootstrap/common/cluster.h"
#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kKubeletConfig = "/etc/kubernetes/kubelet.conf";
constexpr const char* kBootstrapConfig = "/etc/kubernetes/bootstrap-kubelet.conf";
constexpr const char* kCniDirectory = "/opt/cni/bin";

Result<void> ensure_runtime(ServiceManager& services, const std::string& socket) {
  if (socket_answers(socket)) return {};
  if (socket.ends_with(kContainerdSocket))
    LAB_CHECK(services.ensure_running({.name = "containerd",
                                       .description = "containerd container runtime",
                                       .argv = {"/usr/bin/containerd"},
                                       .native_unit = "containerd"}));
  return wait_until(std::chrono::seconds(30), "a container runtime on " + socket,
                    "install one (apt-get install containerd) and see its log: " + services.log_hint("containerd"),
                    [&]() -> Result<void> {
                      if (socket_answers(socket)) return {};
                      return fail(Code::kUnavailable, "nothing listens there");
                    });
}

Result<void> write_node_record(const NodeServices& n) {
  json::Value v = json::Object{{"nodeName", n.node_name},   {"nodeIP", n.node_ip},         {"criSocket", n.cri_socket},
                               {"dnsAddress", n.dns_address}, {"dnsDomain", n.dns_domain},
                               {"serviceCIDR", n.service_cidr}, {"podCIDR", n.pod_cidr}};
  LAB_CHECK(fs::make_dirs("/etc/lab"));
  return fs::write_file(kNodeRecord, json::dump_pretty(v, 2) + "\n");
}

}  // namespace

Result<NodeServices> read_node_record() {
  LAB_TRY(auto text, fs::read_file(kNodeRecord));
  LAB_TRY(auto v, json::parse(text));
  return NodeServices{.node_name = std::string(json::str(v, "nodeName")),
                      .node_ip = std::string(json::str(v, "nodeIP")),
                      .cri_socket = std::string(json::str(v, "criSocket")),
                      .dns_address = std::string(json::str(v, "dnsAddress")),
                      .dns_domain = std::string(json::str(v, "dnsDomain")),
                      .service_cidr = std::string(json::str(v, "serviceCIDR")),
                      .pod_cidr = std::string(json::str(v, "podCIDR"))};
}

Result<void> start_node_services(ServiceManager& services, const NodeServices& node) {
  const std::string self = fs::self_exe();
  LAB_CHECK(fs::make_dirs(kCniDirectory));
  // Runtimes call `loopback` for every sandbox; where the usual plugins are not installed, ours does it.
  for (const char* plugin : {"lab-cni", "loopback"})
    if (const std::string path = fs::join(kCniDirectory, plugin); std::string(plugin) == "lab-cni" || !fs::exists(path))
      LAB_CHECK(fs::symlink(self, path));
  LAB_CHECK(write_node_record(node));
  LAB_CHECK(ensure_runtime(services, node.cri_socket));

  Unit agent{.name = "lab-agent", .description = "Kubernetes node agent of lab"};
  agent.argv = {self, "agent", "--kubeconfig", kKubeletConfig, "--bootstrap-kubeconfig", kBootstrapConfig,
                "--hostname-override", node.node_name, "--node-ip", node.node_ip, "--container-runtime-endpoint",
                node.cri_socket, "--cluster-dns", node.dns_address, "--cluster-domain", node.dns_domain,
                "--service-cluster-ip-range", node.service_cidr, "--cluster-cidr", node.pod_cidr, "--node-lease-seconds",
                std::to_string(std::max(1, node.lease_seconds / 4))};
  for (const auto& t : node.taints) {
    agent.argv.push_back("--register-with-taints");
    agent.argv.push_back(t);
  }
  LAB_CHECK(services.ensure_running(agent));

  if (!node.overlay) return {};
  return services.ensure_running({.name = "lab-overlay",
                                  .description = "Pod network of lab",
                                  .argv = {self, "overlay", "--kubeconfig", kKubeletConfig, "--hostname-override",
                                           node.node_name, "--node-ip", node.node_ip, "--cluster-cidr", node.pod_cidr},
                                  .after = {"lab-agent"}});
}

}  // namespace lab::bootstrap
