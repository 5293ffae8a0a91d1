// HealthChecks: answers load balancers that ask whether this node has endpoints of a service whose external traffic
// policy is Local, at the service's healthCheckNodePort.
//
// As kube-proxy answers, on every path: 200 when there are ready endpoints here, else 503, with
//   {"service": {"namespace": "default", "name": "web"}, "localEndpoints": 2, "serviceProxyHealthy": true}
// Blocking; one call at a time, all from threads of one network namespace.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "orchestrator/proxy/frontend.h"

namespace lab::http {
class Server;
}

namespace lab::proxy {

class HealthChecks {
 public:
  HealthChecks();
  ~HealthChecks();

  // These services ("NAMESPACE/NAME") are answered for from now on, others no more. What cannot be listened on is told
  // in the log once and tried again with the next call.
  void serve(const std::map<std::string, HealthCheck>& wanted);
  std::size_t listening() const { return listeners_.size(); }

 private:
  struct Listener {
    std::uint16_t port = 0;
    std::shared_ptr<std::atomic<int>> endpoints;
    std::unique_ptr<http::Server> server;
  };
  void listen(const std::string& service, const HealthCheck& check);

  std::map<std::string, Listener> listeners_;  // by service
  std::set<std::string> told_;                 // services whose port cannot be had
};

}  // namespace lab::proxy
