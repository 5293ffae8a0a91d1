// lab server: API server, controllers and scheduler in one process. The parts know nothing of one another: controllers
// and scheduler are clients, over the in-process transport.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <random>
#include <thread>

#include "base/fs.h"
#include "base/io/oneshot.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "bootstrap/certs/certs.h"
#include "cli/daemon.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "cli/store.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/client/lease.h"
#include "orchestrator/controllers/manager.h"
#include "orchestrator/scheduler/scheduler.h"
#include "orchestrator/store/migrate.h"
#include "pki/certificate_set.h"
#include "pki/jwt.h"

namespace lab::cli {

namespace {

constexpr auto kReadyLimit = std::chrono::seconds(60);
constexpr auto kShutdownGrace = std::chrono::seconds(2);
constexpr auto kLookAtCertificates = std::chrono::hours(1);

std::string host() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

// This master's certificates renew by themselves, as nodes' do. True: one that this process has read is among them.
bool renew_certificates(const std::string& cert_dir) {
  // /etc/kubernetes of /etc/kubernetes/pki
  const auto slash = cert_dir.find_last_of('/', cert_dir.find_last_not_of('/'));
  const auto done = bootstrap::certs::renew_due(
      {.pki = cert_dir, .kubernetes = slash == std::string::npos ? "." : cert_dir.substr(0, slash)}, host(),
      std::chrono::system_clock::now());
  for (const auto& name : done.names) log::info("a certificate of this master was renewed", {{"certificate", name}});
  for (const auto& why : done.problems) log::warn("a certificate of this master could not be renewed", {{"why", why}});
  return done.read_by_server;
}

// What was read at the start is read again by starting anew: whoever keeps this process running starts the next one.
void keep_certificates(const std::string& cert_dir) {
  std::thread([cert_dir] {
    do std::this_thread::sleep_for(kLookAtCertificates);
    while (!renew_certificates(cert_dir));
    log::info("starting anew with the renewed certificates");
    ::kill(::getpid(), SIGTERM);
  }).detach();
}

// Tokens in Secrets, for as long as those are there: kube-controller-manager's claims.
std::string legacy_token(const pki::PrivateKey& key, const json::Value& account, const json::Value& secret) {
  const std::string ns(json::str(secret, "metadata", "namespace")), name(json::str(account, "metadata", "name"));
  const std::string prefix = "kubernetes.io/serviceaccount/";
  return pki::sign_jwt(key, json::Object{{"iss", "kubernetes/serviceaccount"},
                                         {prefix + "namespace", ns},
                                         {prefix + "secret.name", json::str(secret, "metadata", "name")},
                                         {prefix + "service-account.name", name},
                                         {prefix + "service-account.uid", json::str(account, "metadata", "uid")},
                                         {"sub", "system:serviceaccount:" + ns + ":" + name}});
}

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
  o.proxy_client_cert_file = file("front-proxy-client.crt");
  o.proxy_client_key_file = file("front-proxy-client.key");
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
  LAB_TRY(auto pem, fs::read_file(fs::join(certs, "sa.key")));
  LAB_TRY(auto key, pki::PrivateKey::from_pem(pem));
  o.sign_token = [key](const json::Value& account, const json::Value& secret) -> Result<std::string> {
    return legacy_token(key, account, secret);
  };
  // A lab is not to die of old certificates: the default is ten years.
  LAB_TRY(o.certificate_validity, parse_seconds("cluster-signing-duration", in.get("cluster-signing-duration")));
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

StoreChoice store_choice(const Invocation& in) {
  return {.store = in.get("store"),
          .data_dir = in.get("data-dir"),
          .ca_file = in.get("etcd-cafile"),
          .cert_file = in.get("etcd-certfile"),
          .key_file = in.get("etcd-keyfile")};
}

std::string lease_identity() {
  std::random_device random;
  char suffix[24];
  std::snprintf(suffix, sizeof suffix, "_%08x%08x", random(), random());
  return host() + suffix;
}

using Work = std::function<Task<void>(std::stop_token)>;

// Does the work while this server leads; a server with a store of its own has no rival.
Task<void> work_while_leading(client::Client& api, bool alone, std::string lease, Work work, std::stop_token stop) {
  if (alone) co_return co_await work(stop);
  const client::LeaseOptions options{.name = std::move(lease), .identity = lease_identity()};
  while (!stop.stop_requested()) co_await client::lead_while_holding(api, options, work, stop);
}

Task<void> run_controllers(client::Client& api, controllers::ManagerOptions options, std::stop_token stop) {
  auto manager = controllers::ControllerManager::make(api, std::move(options));
  if (!manager) co_return log::error("the controllers cannot start", {{"why", manager.error().text()}});
  Scope scope(*Loop::current());
  (*manager)->start(scope);
  OneShot<bool> stopped;
  std::stop_callback on_stop(stop, [stopped]() mutable { stopped.set(true); });
  co_await stopped.wait();
  co_await scope.close();
}

Task<void> run_scheduler(client::Client& api, std::stop_token stop) {
  scheduler::Scheduler scheduler(api, *Loop::current());
  co_await scheduler.run(stop);
}

// Starts a part's work on its own loop, as a client of the server in this process.
void start(Part& part, apiserver::ApiServer& server, const char* user, bool alone, const char* lease,
           std::function<Task<void>(client::Client&, std::stop_token)> work) {
  on_loop(part.thread.loop(), [&] {
    part.api = std::make_unique<client::Client>(server.in_process(component(user), part.thread.loop()));
    client::Client& api = *part.api;
    part.scope.spawn(lease, work_while_leading(
                                api, alone, lease, [&api, work](std::stop_token stop) { return work(api, stop); },
                                part.scope.token()));
  });
}

Result<void> serve(const Invocation& in) {
  block_stop_signals();
  renew_certificates(in.get("cert-dir"));
  keep_certificates(in.get("cert-dir"));
  LAB_TRY(auto store, open_store(store_choice(in)));
  LAB_CHECK(store::refuse_half_migrated(*store));
  const bool alone = !store->shared();
  LAB_TRY(auto server, apiserver::ApiServer::start(server_options(in, store.get())));
  LAB_CHECK(server->wait_ready(kReadyLimit));

  Part control("controllers"), schedule("scheduler");
  LAB_TRY(auto options, manager_options(in));
  start(control, *server, "system:kube-controller-manager", alone, "kube-controller-manager",
        [options](client::Client& api, std::stop_token stop) { return run_controllers(api, options, stop); });
  start(schedule, *server, "system:kube-scheduler", alone, "kube-scheduler",
        [](client::Client& api, std::stop_token stop) { return run_scheduler(api, stop); });
  log::info("serving", {{"address", in.get("bind-address")}, {"port", server->port()}});

  wait_for_stop([&] {
    if (auto r = server->reload_tls(); !r) log::error("the certificate could not be read again", {{"why", r.error().text()}});
  });
  log::info("stopping");
  // Clients first, each on its own loop; then the server they talk to; the store last.
  for (Part* part : {&schedule, &control}) await_on(part->thread.loop(), [part] { return part->scope.close(); });
  for (Part* part : {&schedule, &control}) on_loop(part->thread.loop(), [part] { part->api.reset(); });
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
                       {.name = "data-dir", .value = "DIR", .help = "The embedded store", .fallback = "/var/lib/lab/server"},
                       {.name = "store", .value = "STORE", .help = "embedded, or etcd=URL[,URL...]; masters that share an etcd elect one whose controllers and scheduler act", .fallback = "embedded"},
                       {.name = "etcd-cafile", .value = "FILE", .help = "CA of etcd's certificates"},
                       {.name = "etcd-certfile", .value = "FILE", .help = "This server's certificate towards etcd"},
                       {.name = "etcd-keyfile", .value = "FILE", .help = "Its key"},
                       {.name = "service-cluster-ip-range", .value = "RANGE", .help = "Addresses of services", .fallback = "10.96.0.0/12"},
                       {.name = "cluster-cidr", .value = "RANGE", .help = "Addresses of pods", .fallback = "10.244.0.0/16"},
                       {.name = "cluster-domain", .value = "DOMAIN", .help = "DNS domain of services", .fallback = "cluster.local"},
                       {.name = "cluster-signing-duration", .value = "DURATION", .help = "How long certificates are good that nodes ask for", .fallback = "87600h"},
                       {.name = "node-monitor-grace-period", .value = "DURATION", .help = "Silence after which a node counts as lost", .fallback = "40s"},
                       {.name = "default-toleration-seconds", .value = "SECONDS", .help = "How long pods stay on a lost node", .fallback = "300"}},
           .run = [](const Invocation& in) { return finish(serve(in)); },
           .hidden = true}};
}

}  // namespace lab::cli
