#include "orchestrator/proxy/health.h"

#include "base/http/server.h"
#include "base/json.h"
#include "base/log.h"

namespace lab::proxy {
namespace {

http::Response answer_of(const std::string& service, int endpoints) {
  auto slash = service.find('/');
  json::Value body = json::Object{
      {"service", json::Object{{"namespace", service.substr(0, slash)}, {"name", service.substr(slash + 1)}}},
      {"localEndpoints", endpoints},
      {"serviceProxyHealthy", true}};
  http::Response out{.status = endpoints > 0 ? 200 : 503};
  out.headers.set("Content-Type", "application/json");
  out.headers.set("X-Content-Type-Options", "nosniff");
  out.headers.set("X-Load-Balancing-Endpoint-Weight", std::to_string(endpoints));
  out.body.push_back(http::buffer(json::dump(body)));
  return out;
}

Task<void> answer(std::string service, std::shared_ptr<std::atomic<int>> endpoints, http::ResponseWriter& out) {
  (void)co_await out.send(answer_of(service, *endpoints));
}

}  // namespace

HealthChecks::HealthChecks() = default;
HealthChecks::~HealthChecks() = default;

void HealthChecks::serve(const std::map<std::string, HealthCheck>& wanted) {
  // Ports that become free first: another service may have been given one of them.
  std::erase_if(listeners_, [&](const auto& l) {
    auto at = wanted.find(l.first);
    return at == wanted.end() || at->second.port != l.second.port;
  });
  std::erase_if(told_, [&](const auto& service) { return !wanted.contains(service); });
  for (const auto& [service, check] : wanted) {
    if (auto at = listeners_.find(service); at != listeners_.end()) {
      *at->second.endpoints = check.local_endpoints;
    } else {
      listen(service, check);
    }
  }
}

void HealthChecks::listen(const std::string& service, const HealthCheck& check) {
  auto endpoints = std::make_shared<std::atomic<int>>(check.local_endpoints);
  auto server = http::Server::start(
      {.address = "0.0.0.0", .port = check.port, .threads = 1},
      [service, endpoints](http::Request, http::ResponseWriter& out) { return answer(service, endpoints, out); });
  if (server) {
    told_.erase(service);
    listeners_[service] = {check.port, endpoints, std::move(*server)};
  } else if (told_.insert(service).second) {
    log::warn("load balancers get no health check of a service",
              {{"service", service}, {"port", check.port}, {"error", server.error().text()}});
  }
}

}  // namespace lab::proxy
