// The server's authorizer: members of system:masters may do everything, then Node authorization, then RBAC.
//
// Thread-safe. The reader must outlive it.
#pragma once

#include <memory>
#include <string_view>

#include "base/json.h"
#include "orchestrator/apiserver/authorizer.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver::authz {

class ChainAuthorizer : public Authorizer {
 public:
  // Nobody gives away more than they hold: whether the user may write a role with these rules, or bind this role.
  // kForbidden lists what is missing. `object` is the Role, ClusterRole or binding as it is to be stored, `old` null on
  // create.
  virtual Result<void> check_escalation(const Identity& user, const api::Kind& kind, const json::Value* old,
                                        const json::Value& object) const = 0;
};

std::unique_ptr<ChainAuthorizer> make_authorizer(const ObjectReader& reader);
// Allows everything, to everybody (kube-apiserver's AlwaysAllow): for tests of other parts.
std::unique_ptr<ChainAuthorizer> make_allow_all();

}  // namespace lab::apiserver::authz
