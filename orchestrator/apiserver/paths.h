// Paths: requests that name no resource: discovery, OpenAPI, version, health, metrics, the token issuer's documents.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "orchestrator/apiserver/discovery.h"
#include "orchestrator/apiserver/metrics.h"

namespace lab::apiserver {

struct HealthCheck {
  std::string name;
  std::function<bool()> ok;
  bool live = true;  // counts for /livez as well as for /readyz
};

class Paths {
 public:
  struct Parts {
    const KindTable* kinds = nullptr;
    std::function<Externals()> externals;     // group versions of other servers
    std::function<json::Object()> documents;  // and their places in /openapi/v3
    Metrics* metrics = nullptr;
    std::function<std::string()> gauges;  // further lines for /metrics
    std::vector<HealthCheck> checks;
    json::Value key_set;  // /openid/v1/jwks; null: no issuer
    std::string issuer;
  };
  explicit Paths(Parts parts);
  Task<Reply> serve(RequestContext& request);

 private:
  http::Response health(const RequestContext& request, std::string_view path) const;
  http::Response index() const;
  http::Response version() const;
  http::Response openid_configuration() const;
  Reply openapi(const http::Request& request, std::string_view path);
  http::Buffer openapi_v2(bool protobuf);
  http::Buffer openapi_v3(const std::string& group_path);

  Parts parts_;
  Discovery discovery_;
  std::mutex documents_mutex_;
  std::uint64_t documents_generation_ = 0;
  std::map<std::string, http::Buffer> documents_;  // OpenAPI documents made so far, by name
};

}  // namespace lab::apiserver
