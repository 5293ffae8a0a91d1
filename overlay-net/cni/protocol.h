// What the CNI plugin and the overlay agent say to each other: HTTP over a unix socket, bodies in JSON.
//
//   POST   /v1/pods                  PodRequest  -> PodNetwork     (asking again gives the same answer)
//   GET    /v1/pods/CONTAINER/IFNAME             -> PodNetwork, 404 when unknown
//   DELETE /v1/pods/CONTAINER/IFNAME             -> {}             (absent is fine)
//   GET    /v1/status                            -> the agent's status
// Errors carry {"message": ...}; 503 means "try again later".
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::overlay {

inline constexpr const char* kAgentSocket = "/run/lab/overlay.sock";

struct PortMapping {
  std::string protocol = "tcp";
  int host_port = 0, container_port = 0;
  std::string host_ip;
};

struct PodRequest {
  std::string container_id, ifname, netns;
  std::string pod_namespace, pod_name;  // for people; empty outside of Kubernetes
  std::vector<PortMapping> ports;
};

struct PodNetwork {
  Cidr address;  // the pod's, with the prefix of the node's range
  IpAddress gateway;
  std::string bridge;
  unsigned mtu = 0;
};

json::Value to_json(const PodRequest& request);
json::Value to_json(const PodNetwork& network);
Result<PodRequest> pod_request_from(const json::Value& v);
Result<PodNetwork> pod_network_from(const json::Value& v);

}  // namespace lab::overlay
