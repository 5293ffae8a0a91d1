// Node authorization: what an agent may do, from what runs on its node (KEP-279).
//
// An agent reads Secrets, ConfigMaps, claims, volumes and ServiceAccount tokens only of Pods bound to its node, and
// keeps only its own Lease and CSINode. Everything else it needs comes from one fixed set of rules. (Which objects of a
// kind it may write, e.g. only its own Node, is NodeRestriction's part, in admission/.)
#pragma once

#include "orchestrator/apiserver/authorizer.h"
#include "orchestrator/apiserver/authz/rule.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver::authz {

// The node's name when the user is an agent: system:node:NAME in group system:nodes. "" otherwise.
std::string_view node_name(const Identity& user);

class NodeAuthorizer final : public Authorizer {
 public:
  explicit NodeAuthorizer(const ObjectReader& reader);
  Decision authorize(const Attributes& attributes, bool explain) const override;
  RuleSet rules_for(const Identity& user, std::string_view ns) const override;

 private:
  Decision by_relation(const Attributes& a, std::string_view node) const;
  bool used_by_pod(std::string_view node, std::string_view ns, std::string_view resource, std::string_view name) const;
  bool volume_used(std::string_view node, std::string_view volume) const;
  Decision own_lease(const Attributes& a, std::string_view node) const;
  Decision own_csinode(const Attributes& a, std::string_view node) const;

  const ObjectReader& reader_;
  std::vector<Rule> rules_;
  api::KindPtr volumes_;
};

// Whether a Pod names an object of its namespace: secrets, configmaps, persistentvolumeclaims or serviceaccounts.
bool pod_references(const json::Value& pod, std::string_view resource, std::string_view name);

}  // namespace lab::apiserver::authz
