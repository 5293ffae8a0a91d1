// NodeProxy: subresources that are answered by somebody else: the node's agent (log, exec, attach, port-forward) or the
// pod, service or node itself (proxy).
//
// Upgraded connections are tunnelled as raw bytes; the agent ends SPDY and WebSocket. WebSocket v5 is refused so that
// clients fall back to SPDY.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/http/client.h"
#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/apiserver/resources.h"

namespace lab::apiserver {

struct KubeletClientConfig {
  std::string certificate_pem, private_key_pem;
  std::string ca_pem;  // empty: the agent's certificate is not verified
};

class NodeProxy {
 public:
  NodeProxy(const ObjectReader& reader, KubeletClientConfig config);

  bool serves(const api::Kind& kind, std::string_view subresource) const;
  Task<Reply> serve(RequestContext& request, const api::Kind& kind);
  // Passes a request on to another server, as `target` (path and query there): streams and upgrades as well.
  // Headers that belong to the client's connection, and its credentials, stay here.
  Task<Reply> pass_on(RequestContext& request, http::Endpoint endpoint, std::string target);
  // Where a node's agent answers; kUnavailable while it has told no address. Thread-safe.
  Result<http::Endpoint> agent_endpoint(std::string_view node_name) const;

 private:
  struct Destination {
    http::Endpoint endpoint;
    std::string target;  // path and query there
  };
  Result<Destination> streaming(const RequestContext& request) const;
  Result<Destination> proxied(const RequestContext& request, const api::Kind& kind) const;
  Task<Reply> forward(RequestContext& request, Destination to);
  Task<Reply> tunnel(RequestContext& request, Destination to);
  Task<Reply> log_messages(RequestContext& request, Destination to);

  const ObjectReader& reader_;
  KubeletClientConfig config_;
};

}  // namespace lab::apiserver
