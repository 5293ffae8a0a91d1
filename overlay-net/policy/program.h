// Program: what the nftables table `inet lab-policy` holds, as text, and the commands that lead from one to another.
//
//   map ingress-pods        10.244.1.5 : goto in/prod         pods of this node that a policy selects
//   chain in/prod           ip daddr @pods/prod/db jump in/prod/db
//                           goto blocked-ingress              logs, drops
//   chain in/prod/db        ip saddr @peers/9f3c... tcp dport { 5432 } accept comment "rule 1"
//   set pods/prod/db        10.244.1.5                        pods of this node that the policy selects
//   set peers/9f3c...       10.244.2.7, ...                   all pods that a peer's selectors mean
//   set port/http/tcp       10.244.1.5 . tcp . 8080, ...      where a named port leads, per pod
//
// and the same for egress, under `eg/`. Only policies make chains and sets; a pod is nothing but elements, as many as
// policies and peers mean it, whatever the number of pods. A packet of a new connection costs one look-up where no
// policy selects, and else one per policy of the namespace and per rule. Set names hold what they are for, so that sets
// of the same name have the same meaning in every program. Pure; values.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "overlay-net/policy/model.h"

namespace lab::overlay::policy {

inline constexpr const char* kTable = "inet lab-policy";
inline constexpr std::uint16_t kLogGroup = 6784;  // of nfnetlink_log

struct Element {
  std::string set, key, data;  // data is "" in plain sets
  auto operator<=>(const Element&) const = default;
};

struct Program {
  std::map<std::string, std::string> sets;    // name -> type and comment
  std::map<std::string, std::string> chains;  // name -> rules, one a line
  std::set<Element> elements;
  bool operator==(const Program&) const = default;
};

struct ProgramOptions {
  std::string bridge = "lab0";
  bool log = true;                     // blocked connections go to kLogGroup
  unsigned log_limit_per_second = 20;  // 0: all of them
};

// A group of pods that peers mean by their selectors, and the set that holds it.
std::string peer_set(const Peer& peer);
std::string pods_set(const Policy& policy);
std::string port_set(const std::string& name, Protocol protocol);
std::string namespace_chain(Direction direction, const std::string& ns);
std::string policy_chain(Direction direction, const Policy& policy);
const char* pods_map(Direction direction);

// Chains and sets of all policies; elements are of pods, see ruleset.h.
Program program_of(const Model& model);

// The table with its maps and the chains that every node has; repeated, it replaces their rules in place.
std::string base_script(const ProgramOptions& options);
// Commands that make `to` of `from`. Chains whose text is the same stay untouched.
std::string change_script(const Program& from, const Program& to);
std::string element_script(const std::vector<Element>& removed, const std::vector<Element>& added);

// What the kernel holds, from its answer to `list sets`, `list maps` and `list chains` (libnftables-json(5)). The rules
// of its chains are not known, so that a change from it writes them anew.
Program program_listed(const json::Value& listed);

}  // namespace lab::overlay::policy
