// Resources: requests under /api and /apis that name a kind, after authorisation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "orchestrator/apiserver/answers.h"
#include "orchestrator/apiserver/calls.h"
#include "orchestrator/apiserver/registry.h"
#include "orchestrator/apiserver/request_info.h"

namespace lab::apiserver {

// One request on its way through the server. Lives as long as the handler.
struct RequestContext {
  http::Request request;
  http::Query query;
  RequestInfo info;
  Identity user;
  std::string audit_id;
  http::ResponseWriter& writer;
  std::vector<std::string> warnings;  // become Warning headers
};

// Empty: the handler has answered through the writer itself (streams).
using Reply = Result<std::optional<http::Response>>;

class NodeProxy;

class Resources {
 public:
  Resources(Registry& registry, const KindTable& kinds, const CallTable& calls, NodeProxy& node_proxy);

  // kNotFound where the path names no kind.
  Task<Reply> serve(RequestContext& request);

 private:
  struct Target {  // the kind a request is about
    api::KindPtr kind, storage;
    std::string ns, name;
  };
  Task<Reply> dispatch(RequestContext& request, Target target);
  Task<Reply> dispatch_subresource(RequestContext& request, Target target);

  // resources_read.cpp
  Task<Reply> get(RequestContext& request, Target target);
  Task<Reply> list(RequestContext& request, Target target);
  struct ListQuery;
  Result<ListQuery> list_query(const RequestContext& request, const Target& target) const;
  Task<Result<WatchCache::Listing>> list_at(Target target, Selection selection, store::Revision revision,
                                            std::size_t limit, std::string from);
  // resources_watch.cpp
  Task<Reply> watch(RequestContext& request, Target target);
  // resources_write.cpp
  Task<Reply> create(RequestContext& request, Target target);
  Task<Reply> update(RequestContext& request, Target target);
  Task<Reply> patch(RequestContext& request, Target target);
  Task<Reply> remove(RequestContext& request, Target target);
  Task<Reply> remove_collection(RequestContext& request, Target target);
  Task<Reply> call(RequestContext& request, Target target, CallHandler handler);
  Task<Reply> answer_written(View shown, Target target, Written written, int status);
  // resources_webhooks.cpp: requests that no object is written by, and yet are admitted.
  Task<Result<void>> admit_call(RequestContext& request, Target target, WriteOptions options, json::Value& body);
  Task<Result<void>> admit_connection(RequestContext& request, Target target);
  // Stored objects in the requested version.
  Task<Result<std::vector<CachedPtr>>> in_version(Target target, std::vector<CachedPtr> objects) const;
  // resources_scale.cpp
  Task<Reply> scale(RequestContext& request, Target target);

  Result<View> view(const RequestContext& request, const Target& target) const;

  Registry& registry_;
  const KindTable& kinds_;
  const CallTable& calls_;
  NodeProxy& node_proxy_;
};

// Query parameters of writes: dryRun, fieldValidation.
Result<WriteOptions> write_options(RequestContext& request);
// The request's body as an object; 415 and 400 as Kubernetes words them. `duplicates` takes keys that stand twice.
Result<json::Value> decode_request_body(const RequestContext& request, std::vector<std::string>* duplicates = nullptr);
// Applies a patch body (by Content-Type) to an object of the kind.
Result<Registry::Transform> patch_transform(const api::Kind& kind, const RequestContext& request);

}  // namespace lab::apiserver
