// Model: policies, pods and namespaces together, and what they say of a connection.
//
// A connection is judged twice: by the egress rules at its source, and by the ingress rules at its destination, both
// with the addresses it has after services have been translated. A pod that no policy selects for a direction is free
// in it; one that is selected is reached (or reaches) only as a rule of any of those policies allows. A pod always
// reaches itself, and its own node, and is always reached by that; pods of the host's network count as their node.
// The same functions that judge here choose what stands in the kernel's sets (ruleset.h), so that `explain` and the
// kernel cannot differ in what a selector means. One thread; no input, no output.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "overlay-net/policy/objects.h"

namespace lab::overlay::policy {

// One end of a connection. The pod is null for addresses that no pod has.
struct Party {
  IpAddress address;
  const Pod* pod = nullptr;
};

struct Flow {
  Party source, destination;
  Protocol protocol = IPPROTO_TCP;
  std::uint16_t port = 0;  // of the destination; 0 for protocols without ports
};

enum class Why : std::uint8_t {
  kFree,     // no policy selects the pod for this direction, or there is no pod
  kSelf,     // the pod itself
  kOwnNode,  // the pod's own node
  kRule,     // a rule allows it
  kNoRule,   // no rule of the policies does
  kUnknown,  // the pod's labels are not known yet
};

struct Judgement {
  Direction direction = Direction::kIngress;
  Why why = Why::kFree;
  std::vector<const Policy*> policies;  // that select the pod for this direction, by name
  const Policy* by = nullptr;           // kRule: the first that allows it
  std::size_t rule = 0;                 // and which of its rules, from 0
  bool allowed() const { return why != Why::kNoRule && why != Why::kUnknown; }
};

class Model {
 public:
  // From the items of lists, as the API server gives them.
  static Model of(const json::Array& policies, const json::Array& namespaces, const json::Array& pods);

  void set_policy(Policy policy);
  void remove_policy(const std::string& key);
  void set_namespace(const std::string& name, json::Object labels);
  void remove_namespace(const std::string& name);
  void set_pod(Pod pod);
  void remove_pod(const std::string& key);

  // Policies of a namespace, by name.
  const std::map<std::string, Policy>& policies_of(const std::string& ns) const;
  const std::map<std::string, std::map<std::string, Policy>>& policies() const { return policies_; }
  const std::map<std::string, Pod>& pods() const { return pods_; }
  std::size_t policy_count() const;
  const Pod* pod(const std::string& key) const;
  // The pod that has the address: of several that claim it the one wired on this node, else the one created last.
  const Pod* pod_at(const IpAddress& address) const;
  std::vector<std::string> claimants(const IpAddress& address) const;
  std::vector<std::string> pods_in(const std::string& ns) const;

  bool selects(const Policy& policy, const Pod& pod) const;
  bool has(const Peer& peer, const Pod& pod) const;  // by selectors alone
  bool matches(const Peer& peer, const Party& party) const;
  static bool matches(const Port& port, const Flow& flow);
  bool peers_match(const Rule& rule, const Party& party) const;
  static bool ports_match(const Rule& rule, const Flow& flow);

  Judgement judge(Direction direction, const Flow& flow) const;

 private:
  const json::Object& namespace_labels(const std::string& ns) const;

  std::map<std::string, std::map<std::string, Policy>> policies_;
  std::map<std::string, json::Object> namespaces_;
  std::map<std::string, Pod> pods_;
  std::map<IpAddress, std::set<std::string>> claims_;
};

}  // namespace lab::overlay::policy
