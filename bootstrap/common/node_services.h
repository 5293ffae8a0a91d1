// The daemons that every node runs: the agent (kubelet, service proxy, DNS) and the overlay network.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/services/service_manager.h"

namespace lab::bootstrap {

// What init chose for the pod network of the whole cluster. It stands in ConfigMap kubeadm-config, where nodes that join
// find it.
struct OverlayChoice {
  bool encrypt = false;                 // what pods send to other nodes
  std::string ipam = "podcidr";         // or "ring"
  std::vector<std::string> founders;    // of the ring: nodes that begin it; those that join later are told of them, too
  bool operator==(const OverlayChoice&) const = default;

  std::vector<std::string> flags() const;   // of `lab overlay`
  json::Object encode() const;              // keys of the ConfigMap
  static OverlayChoice decode(const json::Value& data);   // what is absent or unknown is as without any choice
};

struct NodeServices {
  std::string node_name, node_ip, cri_socket;
  std::string dns_address, dns_domain;
  std::string service_cidr, pod_cidr;
  int lease_seconds = 40;                    // the node renews its Lease four times in this time
  std::vector<std::string> taints;           // registered with the node: "key=value:Effect"
  bool overlay = true;
  OverlayChoice overlay_choice;
  RuntimeSettings runtime;                   // set by start_runtime()
  json::Value kubelet;                       // KubeletConfiguration of this node; null: the agent's defaults
};

// What this node was set up with, for those who undo it: /etc/lab/node.json. NotFound on a machine that is no node.
inline constexpr const char* kNodeRecord = "/etc/lab/node.json";
Result<NodeServices> read_node_record();

// Makes sure that a container runtime answers, and learns how it is configured.
Result<RuntimeSettings> start_runtime(ServiceManager& services, const std::string& socket, const AskRuntime& ask);

// KubeletConfiguration of a node, as kubeadm and the kubelet have it.
inline constexpr const char* kKubeletConfigFile = "/var/lib/kubelet/config.yaml";
// `document` with the fields of `over` in place of its own; each of them whole. kind and apiVersion stay.
json::Value with_fields(json::Value document, const json::Value& over);

// Writes the kubelet's configuration, installs the CNI plugin where the runtime looks for it, and starts the daemons.
// kInvalid when the configuration names another cgroup driver than the runtime has.
Result<void> start_node_services(ServiceManager& services, const NodeServices& node);
// What start_node_services would do, in words that continue "Would ...".
std::vector<std::string> node_services_plan(const NodeServices& node);
std::string command_line(const Unit& unit);   // its words, quoted where a shell would need it

}  // namespace lab::bootstrap
