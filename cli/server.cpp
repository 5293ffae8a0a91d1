// lab server: API server, controllers and scheduler in one process. The parts know nothing of one another: controllers
// and scheduler are clients, over the in-process transport.
#include <memory>

#include "base/fs.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "cli/daemon.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/controllers/manager.h"
#include "orchestrator/scheduler/scheduler.h"
#include "orchestrator/store/store.h"
#include "pki/certificate_set.h"

namespace lab::cli {

namespace {

constexpr auto kReadyLimit = std::chrono::seconds(60);
constexpr auto kShutdownGrace = std::chrono::seconds(2);

apiserver::ServerOptions server_options(const Invocation& in, store::Store* store) {
  const std::string certs = in.get("cert-dir");
  auto file = [&](const char* name) { return fs::join(certs, name); };
  apiserver::ServerOptions o;
  o.listen_address = in.get("bind-address");
  o.port = static_cast<int>(in.number("secure-port"));
  o.store = store;
  o.tls_cert_file = file("apiserver.crt");
  o.tls_key_file = file("apiserver.key");
  o.client_ca_file = file("ca.crt");
  o.requestheader_ca_file = file("front-proxy-ca.crt");
  o.requestheader_allowed_names = {"front-proxy-client"};
  o.service_account_signing_key_file = file("sa.key");
  o.service_account_key_files = {file("sa.pub")};
  o.service_account_issuer = "https://kubernetes.default.svc." + in.get("cluster-domain");
  o.kubelet_client_cert_file = file("apiserver-kubelet-client.crt");
  o.kubelet_client_key_file = file("apiserver-kubelet-client.key");
  o.service_cidr = in.get("service-cluster-ip-range");
  o.service_dns_domain = in.get("cluster-domain");
  o.advertise_address = in.get("advertise-address");
  o.default_toleration_seconds = static_cast<int>(in.number("default-toleration-seconds"));
  return o;
}

Result<controllers::ManagerOptions> manager_options(const Invocation& in) {
  controllers::ManagerOptions o;
  const std::string certs = in.get("cert-dir");
  o.cluster_cidrs = {in.get("cluster-cidr")};
  LAB_TRY(o.root_ca_pem, fs::read_file(fs::join(certs, "ca.crt")));
  LAB_TRY(auto authority, pki::load_authority(certs, "ca"));
  o.sign_certificate = [authority](const std::string& csr, const std::string& signer, std::chrono::seconds validity) {
    const bool server = signer == "kubernetes.io/kubelet-serving";
    return authority.sign_request(csr, server, !server, validity);
  };
  // A lab is not to die of old certificates: the longest that is asked for or allowed, ten years.
  o.certificate_validity = std::chrono::hours(24 * 3650);
  LAB_TRY(auto grace, parse_seconds("node-monitor-grace-period", in.get("node-monitor-grace-period")));
  o.node_monitor_grace = grace;
  if (grace < std::chrono::seconds(20)) o.node_monitor_period = std::chrono::seconds(1);
  return o;
}

// One client of the API on its own loop.
struct Part {
  explicit Part(const std::string& name) : thread(name), scope(thread.loop()) {}
  LoopThread thread;
  Scope scope;
  std::unique_ptr<client::Client> api;
};

apiserver::Identity component(const char* name) {
  return {.username = name, .groups = {std::string(apiserver::kMastersGroup), std::string(apiserver::kAuthenticatedGroup)}};
}

Result<void> serve(const Invocation& in) {
  block_stop_signals();
  const std::string data = in.get("data-dir");
  LAB_CHECK(fs::make_dirs(data, 0700));
  LAB_TRY(auto store, store::open_embedded({.path = fs::join(data, "state.db")}));
  LAB_TRY(auto server, apiserver::ApiServer::start(server_options(in, store.get())));
  LAB_CHECK(server->wait_ready(kReadyLimit));

  Part control("controllers"), schedule("scheduler");
  std::unique_ptr<controllers::ControllerManager> manager;
  std::unique_ptr<scheduler::Scheduler> scheduler;
  LAB_TRY(auto options, manager_options(in));
  Result<void> started;
  on_loop(control.thread.loop(), [&] {
    control.api = std::make_unique<client::Client>(
        server->in_process(component("system:kube-controller-manager"), control.thread.loop()));
    auto made = controllers::ControllerManager::make(*control.api, options);
    if (!made) {
      started = std::unexpected(std::move(made).error());
      return;
    }
    manager = std::move(*made);
    manager->start(control.scope);
  });
  LAB_CHECK(started);
  on_loop(schedule.thread.loop(), [&] {
    schedule.api = std::make_unique<client::Client>(
        server->in_process(component("system:kube-scheduler"), schedule.thread.loop()));
    scheduler = std::make_unique<scheduler::Scheduler>(*schedule.api, schedule.thread.loop());
    schedule.scope.spawn("scheduler", scheduler->run(schedule.scope.token()));
  });
  log::info("serving", {{"address", in.get("bind-address")}, {"port", server->port()}});

  wait_for_stop([&] {
    if (auto r = server->reload_tls(); !r) log::error("the certificate could not be read again", {{"why", r.error().text()}});
  });
  log::info("stopping");
  // Clients first, each on its own loop; then the server they talk to; the store last.
  for (Part* part : {&schedule, &control}) await_on(part->thread.loop(), [part] { return part->scope.close(); });
  on_loop(schedule.thread.loop(), [&] {
    scheduler.reset();
    schedule.api.reset();
  });
  on_loop(control.thread.loop(), [&] {
    manager.reset();
    control.api.reset();
  });
  server->shutdown(kShutdownGrace);
  return {};
}

}  // namespace

Commands server_commands() {
  return {{.path = "server",
           .summary = "Run the control plane",
           .options = {{.name = "advertise-address", .value = "ADDRESS", .help = "Address that others reach it by"},
                       {.name = "bind-address", .value = "ADDRESS", .help = "Address to listen on", .fallback = "0.0.0.0"},
                       {.name = "secure-port", .value = "PORT", .help = "Port to listen on", .fallback = "6443"},
                       {.name = "cert-dir", .value = "DIR", .help = "Certificates and keys", .fallback = "/etc/kubernetes/pki"},
                       {.name = "data-dir", .value = "DIR", .help = "The store", .fallback = "/var/lib/lab/server"},
                       {.name = "service-cluster-ip-range", .value = "RANGE", .help = "Addresses of services", .fallback = "10.96.0.0/12"},
                       {.name = "cluster-cidr", .value = "RANGE", .help = "Addresses of pods", .fallback = "10.244.0.0/16"},
                       {.name = "cluster-domain", .value = "DOMAIN", .help = "DNS domain of services", .fallback = "cluster.local"},
                       {.name = "node-monitor-grace-period", .value = "DURATION", .help = "Silence after which a node counts as lost", .fallback = "40s"},
                       {.name = "default-toleration-seconds", .value = "SECONDS", .help = "How long pods stay on a lost node", .fallback = "300"}},
           .run = [](const Invocation& in) { return finish(serve(in)); },
           .hidden = true}};
}

}  // namespace lab::cli
