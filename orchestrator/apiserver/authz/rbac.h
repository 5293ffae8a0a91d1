// RBAC: decides from Roles, ClusterRoles and their bindings.
//
// The four kinds are compiled into an index from user and group to rules; it is built anew when one of them has changed
// since. Aggregated ClusterRoles are resolved here, whether or not a controller has filled in their rules.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "orchestrator/apiserver/authorizer.h"
#include "orchestrator/apiserver/authz/rule.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver::authz {

class Rbac final : public Authorizer {
 public:
  explicit Rbac(const ObjectReader& reader);
  ~Rbac() override;
  Decision authorize(const Attributes& attributes, bool explain) const override;
  RuleSet rules_for(const Identity& user, std::string_view ns) const override;
  // The rules a user holds in a namespace ("": cluster-wide only).
  std::vector<Rule> rules_held(const Identity& user, std::string_view ns) const;
  // The rules of a role as it stands now; kNotFound when there is none.
  Result<std::vector<Rule>> rules_of_role(std::string_view kind, std::string_view ns, std::string_view name) const;

 private:
  struct Index;
  std::shared_ptr<const Index> index() const;
  const ObjectReader& reader_;
  std::array<api::KindPtr, 4> kinds_;  // roles, rolebindings, clusterroles, clusterrolebindings
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Index> index_;
};

}  // namespace lab::apiserver::authz
