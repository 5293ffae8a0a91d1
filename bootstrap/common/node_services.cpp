#include "bootstrap/common/node_services.h"

#include <algorithm>

#include "base/fs.h"
#include "base/json.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/cluster.h"
#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kKubeletConfig = "/etc/kubernetes/kubelet.conf";
constexpr auto kRuntimeLimit = std::chrono::seconds(30);
constexpr const char* kBootstrapConfig = "/etc/kubernetes/bootstrap-kubelet.conf";

Result<void> ensure_runtime(ServiceManager& services, const std::string& socket) {
  if (socket_answers(socket)) return {};
  if (socket.ends_with(kContainerdSocket))
    LAB_CHECK(services.ensure_running({.name = "containerd",
                                       .description = "containerd container runtime",
                                       .argv = {"/usr/bin/containerd"},
                                       .native_unit = "containerd"}));
  return wait_until(kRuntimeLimit, "a container runtime on " + socket,
                    "install one (apt-get install containerd) and see its log: " + services.log_hint("containerd"),
                    [&]() -> Result<void> {
                      if (socket_answers(socket)) return {};
                      return fail(Code::kUnavailable, "nothing listens there");
                    });
}

Result<void> write_node_record(const NodeServices& n) {
  json::Value v = json::Object{{"nodeName", n.node_name},   {"nodeIP", n.node_ip},         {"criSocket", n.cri_socket},
                               {"dnsAddress", n.dns_address}, {"dnsDomain", n.dns_domain},
                               {"serviceCIDR", n.service_cidr}, {"podCIDR", n.pod_cidr},
                               {"cniBinDirectory", n.runtime.cni_bin_directory}};
  LAB_CHECK(fs::make_dirs("/etc/lab"));
  return fs::write_file(kNodeRecord, json::dump_pretty(v, 2) + "\n");
}

Unit agent_unit(const NodeServices& node) {
  Unit agent{.name = "lab-agent", .description = "Kubernetes node agent of lab"};
  agent.argv = {fs::self_exe(), "agent", "--kubeconfig", kKubeletConfig, "--bootstrap-kubeconfig", kBootstrapConfig,
                "--hostname-override", node.node_name, "--node-ip", node.node_ip, "--container-runtime-endpoint",
                node.cri_socket, "--cluster-dns", node.dns_address, "--cluster-domain", node.dns_domain,
                "--service-cluster-ip-range", node.service_cidr, "--cluster-cidr", node.pod_cidr, "--node-lease-seconds",
                std::to_string(std::max(1, node.lease_seconds / 4)), "--cgroup-driver",
                node.runtime.systemd_cgroups ? "systemd" : "cgroupfs"};
  if (!node.kubelet.is_null()) agent.argv.insert(agent.argv.end(), {"--config", kKubeletConfigFile});
  for (const auto& t : node.taints) {
    agent.argv.push_back("--register-with-taints");
    agent.argv.push_back(t);
  }
  return agent;
}

Unit overlay_unit(const NodeServices& node) {
  Unit overlay{.name = "lab-overlay",
               .description = "Pod network of lab",
               .argv = {fs::self_exe(), "overlay", "--kubeconfig", kKubeletConfig, "--hostname-override", node.node_name,
                        "--node-ip", node.node_ip, "--cluster-cidr", node.pod_cidr},
               .after = {"lab-agent"}};
  const auto more = node.overlay_choice.flags();
  overlay.argv.insert(overlay.argv.end(), more.begin(), more.end());
  return overlay;
}

Result<void> check_cgroup_driver(const NodeServices& node) {
  const auto asked = json::str(node.kubelet, "cgroupDriver");
  const std::string has = node.runtime.systemd_cgroups ? "systemd" : "cgroupfs";
  if (asked.empty() || asked == has) return {};
  return fail(Code::kInvalid,
              "KubeletConfiguration: cgroupDriver is \"" + std::string(asked) + "\", and the container runtime's is \"" +
                  has + "\"",
              "leave cgroupDriver out (the agent follows the runtime), or set the runtime: SystemdCgroup in "
              "/etc/containerd/config.toml");
}

// Says whether the file changed: the agent reads it at its start.
Result<bool> write_kubelet_configuration(const NodeServices& node) {
  if (node.kubelet.is_null()) return false;
  const std::string text = yaml::dump(node.kubelet);
  const auto before = fs::read_file(kKubeletConfigFile);
  if (before && *before == text) return false;
  LAB_CHECK(fs::make_dirs("/var/lib/kubelet"));
  LAB_CHECK(fs::write_file(kKubeletConfigFile, text));
  return before.has_value();
}

constexpr const char* kEncryptionKey = "overlay-encryption";
constexpr const char* kIpamKey = "overlay-ipam";
constexpr const char* kFoundersKey = "overlay-ipam-founders";   // names with commas between

}  // namespace

std::vector<std::string> OverlayChoice::flags() const {
  std::vector<std::string> out;
  if (encrypt) out.push_back("--encryption");
  if (ipam != "ring") return out;
  out.insert(out.end(), {"--ipam", "ring"});
  for (const auto& name : founders) out.insert(out.end(), {"--ipam-founders", name});
  return out;
}

json::Object OverlayChoice::encode() const {
  json::Object out;
  if (encrypt) out[kEncryptionKey] = "true";
  if (ipam != "ring") return out;
  out[kIpamKey] = ipam;
  std::string names;
  for (const auto& name : founders) names += (names.empty() ? "" : ",") + name;
  out[kFoundersKey] = names;
  return out;
}

OverlayChoice OverlayChoice::decode(const json::Value& data) {
  OverlayChoice out{.encrypt = json::str(data, kEncryptionKey) == "true"};
  if (json::str(data, kIpamKey) != "ring") return out;
  out.ipam = "ring";
  const std::string names(json::str(data, kFoundersKey));
  for (std::size_t at = 0; at < names.size();) {
    const auto comma = std::min(names.find(',', at), names.size());
    if (comma > at) out.founders.push_back(names.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

std::string command_line(const Unit& unit) {
  std::string out;
  for (const auto& word : unit.argv) {
    const bool plain = !word.empty() && word.find_first_of(" '\"$\\*?;&|<>()") == std::string::npos;
    out += (out.empty() ? "" : " ") + (plain ? word : "'" + word + "'");
  }
  return out;
}

std::vector<std::string> node_services_plan(const NodeServices& node) {
  std::vector<std::string> out{"link the CNI plugin \"" + fs::join(node.runtime.cni_bin_directory, "lab-cni") + "\" to this program",
                               "write the file \"" + std::string(kNodeRecord) + "\""};
  if (!node.kubelet.is_null()) out.push_back("write the file \"" + std::string(kKubeletConfigFile) + "\"");
  if (!socket_answers(node.cri_socket)) out.push_back("start the container runtime behind " + node.cri_socket);
  out.push_back("start the service lab-agent:\n\t" + command_line(agent_unit(node)));
  if (node.overlay) out.push_back("start the service lab-overlay:\n\t" + command_line(overlay_unit(node)));
  return out;
}

json::Value with_fields(json::Value document, const json::Value& over) {
  for (const auto& [name, value] : json::as_object(over))
    if (name != "kind" && name != "apiVersion") json::set(document, value, std::string_view(name));
  return document;
}

Result<NodeServices> read_node_record() {
  LAB_TRY(auto text, fs::read_file(kNodeRecord));
  LAB_TRY(auto v, json::parse(text));
  NodeServices out{.node_name = std::string(json::str(v, "nodeName")),
                      .node_ip = std::string(json::str(v, "nodeIP")),
                      .cri_socket = std::string(json::str(v, "criSocket")),
                      .dns_address = std::string(json::str(v, "dnsAddress")),
                      .dns_domain = std::string(json::str(v, "dnsDomain")),
                      .service_cidr = std::string(json::str(v, "serviceCIDR")),
                      .pod_cidr = std::string(json::str(v, "podCIDR"))};
  if (auto dir = json::str(v, "cniBinDirectory"); !dir.empty()) out.runtime.cni_bin_directory = std::string(dir);
  return out;
}

Result<RuntimeSettings> start_runtime(ServiceManager& services, const std::string& socket, const AskRuntime& ask) {
  LAB_CHECK(ensure_runtime(services, socket));
  RuntimeSettings out;
  // A runtime accepts connections a moment before it serves.
  LAB_CHECK(wait_until(kRuntimeLimit, "an answer of the container runtime on " + socket,
                       "see its log: " + services.log_hint("containerd"), [&]() -> Result<void> {
                         LAB_TRY(out, ask(socket));
                         return {};
                       }));
  return out;
}

Result<void> start_node_services(ServiceManager& services, const NodeServices& node) {
  LAB_CHECK(check_cgroup_driver(node));
  LAB_TRY(bool changed, write_kubelet_configuration(node));
  const std::string self = fs::self_exe();
  const std::string& plugins = node.runtime.cni_bin_directory;
  LAB_CHECK(fs::make_dirs(plugins));
  // Runtimes call `loopback` for every sandbox; where the usual plugins are not installed, ours does it.
  for (const char* plugin : {"lab-cni", "loopback"})
    if (const std::string path = fs::join(plugins, plugin); std::string(plugin) == "lab-cni" || !fs::exists(path))
      LAB_CHECK(fs::symlink(self, path));
  LAB_CHECK(write_node_record(node));
  LAB_CHECK(services.ensure_running(agent_unit(node)));
  if (changed) LAB_CHECK(services.restart("lab-agent"));
  return node.overlay ? services.ensure_running(overlay_unit(node)) : Result<void>{};
}

}  // namespace lab::bootstrap
