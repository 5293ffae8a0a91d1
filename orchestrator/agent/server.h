// AgentServer: the agent's HTTPS interface, as the API server, metrics collectors and people's tools use it.
//
//   /healthz /pods /runningpods /containerLogs/NS/POD/CONTAINER /exec/... /attach/... /portForward/NS/POD /run/...
//   /stats/summary /metrics/resource /metrics /lab/node; PUT /lab/server: the API server's URL from now on
//
// Callers show a client certificate of the cluster's CA (group system:masters or name kube-apiserver-kubelet-client),
// or a bearer token that the API server knows and lets do so (TokenReview, SubjectAccessReview). Handlers run on the
// server's connection threads; what belongs to the agent's loop is asked there by ask().
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/http/server.h"
#include "orchestrator/agent/cri.h"
#include "orchestrator/agent/options.h"
#include "orchestrator/agent/pod.h"
#include "orchestrator/agent/stats.h"

namespace lab {
class Pool;
}

namespace lab::agent {

// Where a container's log and process are.
struct FoundContainer {
  std::string container_id;  // empty: it has not started
  std::string sandbox_id, log_path, state;
  bool running = false;
  bool stdin_once = false;  // made for one attach session, as `kubectl run -i` does
};

// What the server needs of the agent. All functions run on the agent's loop.
struct ServerBackend {
  Loop& loop;
  cri::CriClient& cri;
  Pool& pool;
  MachineInfo machine;
  std::function<std::vector<ObjectPtr>()> pods;
  // kNotFound with a message for people. container empty: only the sandbox is wanted. previous: the instance before.
  std::function<Result<FoundContainer>(std::string ns, std::string pod, std::string container, bool previous)> find;
  // Whether what runs of that pod, or that there is no such pod, is known by now.
  std::function<bool(const std::string& ns, const std::string& pod)> knows;
  std::function<Task<Result<bool>>(std::string token, std::string verb, std::string subresource)> authorize;
  std::function<bool()> healthy;
};

class AgentServer {
 public:
  // Null when the options say that none is to run.
  static Result<std::unique_ptr<AgentServer>> start(const AgentOptions& options, ServerBackend backend);
  ~AgentServer();
  // Ends all connections; blocks until their handlers have ended. Not on the agent's loop, which they may wait for.
  void stop() { server_->shutdown(Duration::zero()); }
  int port() const { return server_->port(); }
  Result<void> reload_tls(std::string certificate_pem, std::string key_pem);
  Result<void> reload_client_ca(std::string ca_pem);  // new connections are checked against this bundle

 private:
  AgentServer(const AgentOptions& options, ServerBackend backend)
      : options_(options), backend_(std::move(backend)), stats_(options, backend_.machine) {}

  Task<void> handle(http::Request request, http::ResponseWriter& writer);
  Task<Result<void>> admit(const http::Request& request, std::string verb, std::string subresource);
  Task<void> logs(http::Request request, http::ResponseWriter& writer, std::vector<std::string> parts);
  Task<void> stream(http::Request request, http::ResponseWriter& writer, std::vector<std::string> parts);
  Task<void> run_command(http::Request request, http::ResponseWriter& writer, std::vector<std::string> parts);
  Task<Result<FoundContainer>> find(std::string ns, std::string pod, std::string container, bool previous);
  Task<bool> output_unseen(std::vector<std::string> parts, std::string container_id);
  template <class T>
  Task<T> ask(std::function<T()> question);

  const AgentOptions& options_;
  ServerBackend backend_;
  StatsCollector stats_;
  std::mutex tls_mutex_;
  std::string certificate_pem_, key_pem_, client_ca_pem_;
  std::unique_ptr<http::Server> server_;  // last: its threads end before the rest goes
};

// Hands an upgraded connection over to the runtime's streaming server at `url`, byte for byte, or sends its refusal.
// `output_unseen`, where given: as in attach_status.h.
Task<void> proxy_stream(http::Request request, http::ResponseWriter& writer, std::string url,
                        std::function<Task<bool>()> output_unseen = {});

}  // namespace lab::agent
