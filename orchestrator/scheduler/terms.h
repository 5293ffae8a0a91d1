// The terms a pod's spec uses to say where it wants to be, parsed once: taints and tolerations, node selector terms,
// (anti-)affinity terms and topology spread constraints.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/selector.h"

namespace lab::scheduler {

struct Taint {
  std::string key, value, effect;
  bool operator==(const Taint&) const = default;
};
struct Toleration {
  std::string key, op, value, effect;
  bool tolerates(const Taint& taint) const;
};
std::vector<Taint> parse_taints(const json::Value& node);
std::vector<Toleration> parse_tolerations(const json::Value& pod);
bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint);
// The first taint with NoSchedule or NoExecute that is not tolerated; null when there is none.
const Taint* find_untolerated(const std::vector<Taint>& taints, const std::vector<Toleration>& tolerations);

// A NodeSelectorTerm: all its expressions must hold. One without expressions matches nothing.
struct NodeSelectorTerm {
  struct Expression {
    std::string key, op;
    std::vector<std::string> values;
    bool holds(std::string_view actual, bool present) const;
  };
  std::vector<Expression> labels;
  std::vector<Expression> fields;  // metadata.name only
  bool matches(std::string_view node_name, const json::Object& node_labels) const;
};
struct PreferredNodeTerm {
  NodeSelectorTerm term;
  std::int64_t weight = 0;
};

// What a pod requires of its node: spec.nodeSelector and required node affinity.
struct NodeRequirement {
  std::vector<std::pair<std::string, std::string>> selector;
  bool has_affinity = false;
  std::vector<NodeSelectorTerm> terms;  // one must match
  bool matches(std::string_view node_name, const json::Object& node_labels) const;
  // The only nodes that can match, where every term names some by metadata.name; else empty and false.
  std::pair<std::vector<std::string>, bool> named_nodes() const;
};
NodeRequirement parse_node_requirement(const json::Value& pod);
std::vector<PreferredNodeTerm> parse_preferred_node_terms(const json::Value& pod);

// A PodAffinityTerm.
struct AffinityTerm {
  api::LabelSelector pods;
  std::vector<std::string> namespaces;
  bool has_namespace_selector = false;
  api::LabelSelector namespace_selector;
  std::string topology_key;
  std::int64_t weight = 1;
  // Whether a pod with these labels in this namespace is meant.
  bool matches(const std::string& ns, const json::Object& namespace_labels, const json::Object& pod_labels) const;
};
struct AffinityTerms {
  std::vector<AffinityTerm> required, preferred;
};
AffinityTerms parse_affinity(const json::Value& pod, std::string_view which);  // "podAffinity", "podAntiAffinity"

struct SpreadConstraint {
  std::int64_t max_skew = 1;
  std::string topology_key;
  bool hard = true;                           // DoNotSchedule
  std::vector<api::LabelSelector> selectors;  // all must match
  std::int64_t min_domains = 1;
  bool honor_affinity = true, honor_taints = false;
  bool matches(const json::Object& pod_labels) const;
};
std::vector<SpreadConstraint> parse_spread_constraints(const json::Value& pod);

std::string_view label(const json::Object& labels, std::string_view key);  // "" where absent

}  // namespace lab::scheduler
