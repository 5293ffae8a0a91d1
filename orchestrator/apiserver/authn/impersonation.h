// Impersonation: acting as somebody else, by Impersonate-User, -Group, -Uid and -Extra-KEY headers (kubectl --as).
#pragma once

#include <optional>

#include "orchestrator/apiserver/authorizer.h"
#include "orchestrator/apiserver/identity.h"

namespace lab::apiserver::authn {

// The identity asked for; empty when the request asks for none. kForbidden when the real user may not impersonate it,
// kBadRequest when groups, uid or extras are given without a user.
Result<std::optional<Identity>> impersonated(const http::Headers& headers, const Identity& real,
                                             const Authorizer& authorizer);

}  // namespace lab::apiserver::authn
