// Aggregator: group versions that another server answers for (APIService, apiregistration.k8s.io/v1).
//
// Requests have been authenticated and authorised here; the other server hears who asks by X-Remote-* headers, and
// trusts them since the front proxy's client certificate vouches for this server. Such a server may answer for a group
// version that is built in (metrics.k8s.io): then it is asked in place of this one.
//
// Each pass of run() looks at all APIServices: whether their Service, its endpoints and their discovery document are
// there, which becomes the Available condition and what discovery shows. It also keeps an APIService for each group
// version of this server's own, as kube-apiserver does.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "orchestrator/apiserver/discovery.h"
#include "orchestrator/apiserver/node_proxy.h"
#include "orchestrator/apiserver/registry.h"

namespace lab::apiserver {

struct AggregatorOptions {
  std::string certificate_pem, private_key_pem;  // the front proxy's client certificate; may be empty
  // What other servers need to know to believe this one: ConfigMap kube-system/extension-apiserver-authentication.
  std::string client_ca_pem, requestheader_ca_pem;
  std::vector<std::string> requestheader_allowed_names;
};

class Aggregator {
 public:
  // Where a group version is served. Immutable.
  struct Route {
    std::string name;  // of the APIService
    std::string group, version;
    std::string ns, service;
    int port = 443;
    std::string ca_pem;
    bool insecure = false;
    bool available = false;
  };

  Aggregator(Registry& registry, KindTable& kinds, NodeProxy& proxy, AggregatorOptions options);

  // Null where this server answers itself: nearly always, at the price of comparing two revisions.
  std::shared_ptr<const Route> route(std::string_view group, std::string_view version) const;
  // The same for a path that names no resource ("/apis/G/V", "/openapi/v3/apis/G/V").
  std::shared_ptr<const Route> route_of_path(std::string_view path) const;
  Task<Reply> serve(RequestContext& request, std::shared_ptr<const Route> route);
  // What discovery is to show beside this server's own kinds.
  Externals externals() const;
  // What /openapi/v3 is to list beside this server's own documents: those that the other servers have.
  json::Object documents() const;

  // What the server is to have of its own: local APIServices, and the ConfigMap by which others believe it.
  Task<Result<void>> make_own();
  // Passes until stopped.
  Task<void> run(std::stop_token stop);
  Task<Result<void>> reconcile();

 private:
  struct Routes {
    std::int64_t revision = -1;
    std::map<std::string, std::shared_ptr<const Route>, std::less<>> by_version;  // "group/version"
  };
  struct Verdict {
    bool available = false;
    std::string reason, message;
  };
  std::shared_ptr<const Routes> routes() const;
  http::Endpoint endpoint_of(const Route& route, const std::string& host, int port) const;
  Task<Verdict> check(std::shared_ptr<const Route> route);
  Task<Verdict> ask_for_discovery(std::shared_ptr<const Route> route, std::string host, int port);
  Task<Result<json::Value>> fetch(std::shared_ptr<const Route> route, std::string host, int port, std::string path);
  Task<void> judge(std::shared_ptr<const Route> route);
  Task<Result<void>> tell(std::string name, Verdict verdict);
  Task<Result<void>> keep_local();
  Task<Result<void>> publish_authentication();

  Registry& registry_;
  KindTable& kinds_;
  NodeProxy& proxy_;
  AggregatorOptions options_;
  api::KindPtr kind_;
  mutable std::atomic<std::shared_ptr<const Routes>> routes_;
  mutable std::mutex mutex_;
  std::map<std::string, json::Array> heard_;      // resources by APIService, as last heard
  std::map<std::string, std::string> documents_;  // where its OpenAPI document is, for those that have one
  std::string local_;                             // the group versions that stand as local APIServices
  bool published_ = false;
};

}  // namespace lab::apiserver
