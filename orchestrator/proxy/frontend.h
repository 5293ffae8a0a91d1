// Frontend: one address and port at which a service answers, with the endpoints behind it on this node.
//
// A service has one frontend per port for each of its cluster IP, external IPs, load balancer IPs and its node port.
// frontends_of() derives them from a Service and its EndpointSlices, following kube-proxy's rules: ready endpoints, or
// serving terminating ones when none is ready (KEP-1669); internal and external traffic policies (KEP-2086,
// KEP-1669); those that topology hints (KEP-2433) and trafficDistribution (KEP-4444, KEP-3015) leave to this node;
// headless services and ExternalName have none. Pure functions of their arguments. IPv4.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/netlink/address.h"

namespace lab::proxy {

enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17, kSctp = 132 };
std::string_view text(Protocol p);  // as nftables writes it

// Where a frontend is looked up. The "inside" spaces are for clients in pods and on nodes of services whose external
// traffic policy is Local: those reach all endpoints, as the traffic never left the cluster.
enum class Space : std::uint8_t { kAddress, kNodePort, kAddressInside, kNodePortInside };

struct FrontendKey {
  Space space = Space::kAddress;
  IpAddress address;  // empty in the node port spaces
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  auto operator<=>(const FrontendKey&) const = default;
};

struct Target {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const Target&) const = default;
};

// Whose source address is replaced by the node's.
enum class Masquerade : std::uint8_t {
  kOutsiders,  // cluster IPs: of clients that are no pods
  kAll,        // external traffic, policy Cluster: the answer must come back this way
  kNone,       // external traffic, policy Local: the client's address is kept
};

enum class WhenEmpty : std::uint8_t {
  kReject,  // nobody serves: say so at once
  kDrop,    // others do, but the policy wants local ones
  kNothing,
};

struct Frontend {
  FrontendKey key;
  std::vector<Target> targets;  // no order; without repeats
  Masquerade masquerade = Masquerade::kOutsiders;
  int affinity_seconds = 0;  // sessionAffinity ClientIP; 0: none
  WhenEmpty when_empty = WhenEmpty::kReject;
  std::vector<Cidr> sources;  // loadBalancerSourceRanges: whom it serves, none inside of another; empty: everybody
  bool operator==(const Frontend&) const = default;
};

// What a load balancer asks each node of a service whose external traffic policy is Local: is it worth coming here?
struct HealthCheck {
  std::uint16_t port = 0;  // spec.healthCheckNodePort
  int local_endpoints = 0;
  bool operator==(const HealthCheck&) const = default;
};

struct ServiceRules {
  std::vector<Frontend> frontends;
  std::vector<IpAddress> cluster_ips;    // all ports of these belong to the service
  std::vector<IpAddress> local_targets;  // endpoints on this node that may call themselves through the service
  std::optional<HealthCheck> health;
};

// `slices` are those of this service. Addresses in `served_here` (the cluster DNS address) are bound on this node and
// get no frontend. `zone` is the node's label topology.kubernetes.io/zone; "" when it has none.
ServiceRules rules_of(const json::Value& service, const std::vector<const json::Value*>& slices,
                      const std::string& node_name, const std::vector<IpAddress>& served_here,
                      const std::string& zone = {});

}  // namespace lab::proxy
