// Chain: the filters every request passes, in order, around the handler.
//
//   exception guard > request info > audit id > authentication > impersonation > authorization > in-flight limit >
//   handler
//
// Requests of the same process enter after authentication, with the identity they were given.
#pragma once

#include <functional>
#include <string>

#include "orchestrator/apiserver/authorizer.h"
#include "orchestrator/apiserver/metrics.h"
#include "orchestrator/apiserver/resources.h"

namespace lab::apiserver {

class Chain {
 public:
  struct Parts {
    const Authenticator* authenticator = nullptr;
    const Authorizer* authorizer = nullptr;  // null: everything is allowed
    Metrics* metrics = nullptr;
    int max_mutating = 200, max_read = 400;
    std::function<Task<Reply>(RequestContext&)> resources, paths;  // the handlers
  };
  explicit Chain(Parts parts) : parts_(std::move(parts)) {}

  // `as`: who asks, where that is known already.
  Task<void> serve(http::Request request, http::ResponseWriter& writer, std::optional<Identity> as = std::nullopt);

 private:
  Task<Reply> run(RequestContext& ctx, std::optional<Identity> as);
  Task<Reply> guarded(RequestContext& ctx, std::optional<Identity> as);
  Result<void> authenticate(RequestContext& ctx, std::optional<Identity> as) const;
  Result<void> impersonate(RequestContext& ctx) const;
  Result<void> authorize(const RequestContext& ctx) const;

  Parts parts_;
};

}  // namespace lab::apiserver
