// NetworkPolicy, Pod and Namespace as the pod network needs them: read from API objects, without judging anything.
//
// Follows networking.k8s.io/v1: absent `policyTypes` mean Ingress, and Egress when there are egress rules; an absent or
// empty list of peers or ports means all; a selector that is absent differs from an empty one, which selects all. What
// cannot be understood (the API server lets none pass) matches nothing, and is named in `problems`. Values; any thread.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/netlink/address.h"
#include "orchestrator/api/selector.h"

namespace lab::overlay::policy {

enum class Direction : std::uint8_t { kIngress, kEgress };
std::string_view text(Direction d);  // "ingress"

using Protocol = std::uint8_t;                                 // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP; in packets any
std::string protocol_text(Protocol p);                         // "tcp"; the number when it has no name here
std::optional<Protocol> protocol_from(std::string_view name);  // "TCP", "tcp"

struct Port {
  Protocol protocol = IPPROTO_TCP;
  std::string name;                   // resolved per destination pod; "": by number
  std::uint16_t first = 0, last = 0;  // 0: every port of the protocol
  bool operator==(const Port&) const = default;
};

struct IpBlock {
  Cidr cidr;
  std::vector<Cidr> except;
};

// Exactly one of a block, or selectors. Without a namespace selector, pods of the policy's own namespace.
struct Peer {
  std::optional<IpBlock> block;
  std::string ns;
  std::optional<api::LabelSelector> namespaces;
  std::optional<api::LabelSelector> pods;  // absent: all
  bool nothing = false;                    // it could not be understood
  std::string text() const;                // "pods app=web in namespace prod", "10.0.0.0/8 except 10.1.0.0/16"
};

struct Rule {
  std::vector<Peer> peers;  // empty: everybody
  std::vector<Port> ports;  // empty: every port of every protocol
};

struct Policy {
  std::string ns, name;
  api::LabelSelector pods;
  bool ingress = true, egress = false;
  std::vector<Rule> ingress_rules, egress_rules;
  std::vector<std::string> problems;

  std::string key() const { return ns + "/" + name; }
  bool restricts(Direction d) const { return d == Direction::kIngress ? ingress : egress; }
  const std::vector<Rule>& rules(Direction d) const { return d == Direction::kIngress ? ingress_rules : egress_rules; }
};

struct NamedPort {
  std::string name;
  Protocol protocol = IPPROTO_TCP;
  std::uint16_t number = 0;
};

struct Pod {
  std::string ns, name;
  json::Object labels;
  std::string node;
  IpAddress node_address;            // of its node
  std::vector<IpAddress> addresses;  // IPv4; none for pods of the host's network, and for those that have ended
  std::vector<NamedPort> ports;
  std::string created;  // RFC 3339; the younger of two pods with one address has it
  bool host_network = false;
  bool known = true;   // false: its address is known, the object not yet
  bool wired = false;  // this node gave it its address: no other claim to that counts

  std::string key() const { return ns + "/" + name; }
};

Policy policy_from(const json::Value& object);
Pod pod_from(const json::Value& object);
// Leaves of a Pod object only what pod_from() reads.
void shrink_pod(json::Value& object);

}  // namespace lab::overlay::policy
