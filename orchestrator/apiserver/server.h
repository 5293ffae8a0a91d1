// ApiServer: the Kubernetes API over a Store.
//
// start() reads the store into the caches, makes the system objects (namespaces, default roles, priority classes) if
// they are absent, and listens. /readyz answers ok once all of that stands. Requests run on the server's connection
// threads; requests through in_process() run on the caller's loop. The store must outlive the server.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "base/result.h"
#include "orchestrator/apiserver/identity.h"
#include "orchestrator/client/client.h"
#include "orchestrator/store/store.h"

namespace lab::apiserver {

struct ServerOptions {
  std::string listen_address = "127.0.0.1";
  int port = 0;                   // 0: any free port, see ApiServer::port()
  int threads = 2;                // connection threads
  store::Store* store = nullptr;  // required

  // PEM files, read at start and again by reload_tls(). No certificate: plain HTTP (tests on loopback).
  std::string tls_cert_file, tls_key_file;
  std::string client_ca_file;
  std::string requestheader_ca_file;  // front proxies; may be empty
  std::vector<std::string> requestheader_allowed_names;

  // ServiceAccount tokens. No signing key: tokens are neither made nor accepted.
  std::string service_account_signing_key_file;
  std::vector<std::string> service_account_key_files;  // public keys accepted, several in a file; the signing key's always is
  std::string service_account_issuer = "https://kubernetes.default.svc.cluster.local";
  std::vector<std::string> api_audiences;  // empty: the issuer

  // Towards aggregated API servers (APIService): who this server is to them, when it tells them who asks.
  std::string proxy_client_cert_file, proxy_client_key_file;

  // Towards node agents (logs, exec, attach, port-forward).
  std::string kubelet_client_cert_file, kubelet_client_key_file;
  std::string kubelet_ca_file;  // empty: the agent's certificate is not verified, as kube-apiserver does

  std::string service_cidr = "10.96.0.0/12";
  std::string service_dns_domain = "cluster.local";
  int node_port_first = 30000, node_port_last = 32767;
  int default_toleration_seconds = 300;  // how long pods stay on a lost node, unless they say otherwise
  std::string advertise_address;  // in the `kubernetes` Service's endpoints; empty: not kept up
  int advertise_port = 0;         // 0: the port listened on

  bool anonymous_auth = true;
  struct StaticToken {
    std::string token, user, uid;
    std::vector<std::string> groups;
  };
  std::vector<StaticToken> tokens;
  bool authorization = true;  // false: everything is allowed (AlwaysAllow), for tests of other parts

  int max_mutating_in_flight = 200, max_read_in_flight = 400;  // watches do not count
  Duration request_timeout = std::chrono::seconds(60);
  std::size_t watch_history_bytes = 24u << 20;
};

class ApiServer {
 public:
  static Result<std::unique_ptr<ApiServer>> start(ServerOptions options);
  virtual ~ApiServer() = default;  // shuts down; in-process transports must be gone

  virtual int port() const = 0;
  virtual bool ready() const = 0;
  // Blocks until ready() or the time is over.
  virtual Result<void> wait_ready(Duration limit) = 0;
  // The API for parts of the same process: the whole filter chain after authentication, as `user`, on `loop`.
  virtual std::unique_ptr<client::Transport> in_process(Identity user, Loop& loop) = 0;
  virtual Result<void> reload_tls() = 0;
  // Stops listening, ends watches, lets running requests finish for at most `grace`.
  virtual void shutdown(Duration grace) = 0;
};

}  // namespace lab::apiserver
