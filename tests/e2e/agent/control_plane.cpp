#include "control_plane.h"

#include <algorithm>

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/controllers/manager.h"
#include "pki/certificate.h"

namespace lab::agent::test {

using namespace std::chrono_literals;
namespace res = client::res;

namespace {

template <class T>
T good(Result<T> r, const std::string& what) {
  EXPECT_TRUE(r.has_value()) << what << ": " << (r ? "" : r.error().text());
  return r ? std::move(*r) : T{};
}

}  // namespace

struct ControlPlane::Impl {
  std::string dir;
  pki::Authority ca = pki::Authority::create("kubernetes", std::chrono::hours(24), pki::KeyAlgorithm::kEcdsaP256);
  std::unique_ptr<store::Store> store;
  std::unique_ptr<apiserver::ApiServer> server;
  LoopThread thread{"control plane"};
  std::unique_ptr<client::Client> admin, controllers;
  std::unique_ptr<controllers::ControllerManager> manager;
  std::unique_ptr<Scope> scope;

  std::pair<std::string, std::string> issue(pki::CertificateSpec spec) {
    auto key = pki::PrivateKey::generate();
    return {good(ca.issue(spec, key), "certificate"), key.pem()};
  }
  template <class T>
  T run(Task<T> task) {
    std::promise<T> p;
    auto wrap = [](Task<T> t, std::promise<T>* out) -> Task<void> { out->set_value(co_await std::move(t)); };
    scope->spawn("test", wrap(std::move(task), &p));
    return p.get_future().get();
  }
};

ControlPlane::ControlPlane() : impl_(std::make_unique<Impl>()) {
  static int serial = 0;
  auto& i = *impl_;
  i.dir = Machine::get().dir() + "/control-plane-" + std::to_string(serial++);
  EXPECT_TRUE(fs::make_dirs(i.dir));
  auto sa = pki::PrivateKey::generate();
  auto [cert, key] = i.issue(
      {.common_name = "kube-apiserver-kubelet-client", .organizations = {"system:masters"}, .client_auth = true});
  write_text(i.dir + "/sa.key", sa.pem());
  write_text(i.dir + "/client.crt", cert);
  write_text(i.dir + "/client.key", key);
  auto [server_cert, server_key] =
      i.issue({.common_name = "kube-apiserver", .addresses = {"127.0.0.1"}, .server_auth = true});
  write_text(i.dir + "/server.crt", server_cert);
  write_text(i.dir + "/server.key", server_key);
  write_text(i.dir + "/ca.crt", i.ca.certificate_pem());
  i.store = good(store::open_embedded({.path = i.dir + "/store.db"}), "store");
  apiserver::ServerOptions o;
  o.threads = 2;
  o.store = i.store.get();
  o.service_account_signing_key_file = i.dir + "/sa.key";
  o.kubelet_client_cert_file = i.dir + "/client.crt";
  o.kubelet_client_key_file = i.dir + "/client.key";
  o.tls_cert_file = i.dir + "/server.crt";
  o.tls_key_file = i.dir + "/server.key";
  o.tokens = {{.token = "admin-token", .user = "admin", .uid = "admin", .groups = {"system:masters"}}};
  i.server = good(apiserver::ApiServer::start(o), "API server");
  auto ready = i.server->wait_ready(60s);
  EXPECT_TRUE(ready) << (ready ? "" : ready.error().text());

  std::promise<void> started;
  i.thread.loop().post([&] {
    i.admin = client_as("admin", {"system:masters", "system:authenticated"}, i.thread.loop());
    i.controllers =
        client_as("system:kube-controller-manager", {"system:masters", "system:authenticated"}, i.thread.loop());
    i.scope = std::make_unique<Scope>(i.thread.loop());
    controllers::ManagerOptions m;
    m.root_ca_pem = i.ca.certificate_pem();
    i.manager = good(controllers::ControllerManager::make(*i.controllers, m), "controllers");
    i.manager->start(*i.scope);
    started.set_value();
  });
  started.get_future().get();
  EXPECT_TRUE(eventually([&] { return !get(res::serviceaccounts, "default").is_null(); }));
  EXPECT_TRUE(eventually([&] { return !get(res::configmaps, "kube-root-ca.crt").is_null(); }));
}

ControlPlane::~ControlPlane() {
  std::promise<void> done;
  Scope closer(impl_->thread.loop());
  closer.spawn("stop", [&]() -> Task<void> {
    co_await impl_->scope->close();
    impl_->manager.reset();
    impl_->controllers.reset();
    impl_->admin.reset();
    done.set_value();
  });
  done.get_future().get();
  impl_->server.reset();
  impl_->store.reset();
}

std::string ControlPlane::url() const {
  return "https://127.0.0.1:" + std::to_string(impl_->server->port());
}

std::unique_ptr<client::Client> ControlPlane::client_as(std::string user, std::vector<std::string> groups, Loop& loop) {
  return std::make_unique<client::Client>(impl_->server->in_process({.username = user, .groups = groups}, loop));
}

std::unique_ptr<RunningAgent> ControlPlane::start_agent(AgentOptions options) {
  auto [cert, key] = impl_->issue({.common_name = options.node_name, .addresses = {"127.0.0.1"}, .server_auth = true});
  options.serving_certificate_pem = cert;
  options.serving_key_pem = key;
  options.client_ca_pem = impl_->ca.certificate_pem();
  std::string user = "system:node:" + options.node_name;
  return std::make_unique<RunningAgent>(
      options, [this, user] { return client_as(user, {"system:nodes", "system:authenticated"}, *Loop::current()); });
}

json::Value ControlPlane::create(client::Resource r, const std::string& text, const std::string& ns) {
  auto object = good(yaml::parse(text), text);
  return good(impl_->run(impl_->admin->create(r, ns, object)), "create " + text);
}
json::Value ControlPlane::get(client::Resource r, const std::string& name, const std::string& ns) {
  auto got = impl_->run(impl_->admin->get(r, ns, name));
  if (!got && got.error().code == Code::kNotFound) return nullptr;
  return good(std::move(got), "get " + name);
}
json::Value ControlPlane::list(client::Resource r, const std::string& ns) {
  return good(impl_->run(impl_->admin->list(r, ns)), "list");
}
void ControlPlane::replace(client::Resource r, json::Value object, const std::string& ns) {
  good(impl_->run(impl_->admin->update(r, ns, std::move(object))), "replace");
}
void ControlPlane::remove(client::Resource r, const std::string& name, const std::string& ns, int grace) {
  client::DeleteOptions o;
  if (grace >= 0) o.grace_seconds = grace;
  good(impl_->run(impl_->admin->remove(r, ns, name, o)), "delete " + name);
}
json::Value ControlPlane::run_pod(const std::string& text) {
  return create(res::pods, text);
}

bool ControlPlane::wait_pod(const std::string& name, const std::function<bool(const json::Value&)>& wanted) {
  json::Value last;
  bool met = eventually([&] {
    last = pod(name);
    return wanted(last);
  });
  if (!met) {
    std::string news;
    for (const auto& e : events(name)) news += e + "\n";
    ADD_FAILURE() << name << " is still " << json::dump_pretty(json::at(last, "status")) << "\n" << news;
  }
  return met;
}
bool ControlPlane::wait_phase(const std::string& name, const std::string& phase) {
  return wait_pod(name, [&](const json::Value& p) { return json::str(p, "status", "phase") == phase; });
}
bool ControlPlane::wait_gone(const std::string& name) {
  return wait_pod(name, [](const json::Value& p) { return p.is_null(); });
}
std::vector<std::string> ControlPlane::events(const std::string& about) {
  std::vector<std::string> out;
  auto all = list(res::events, "");
  for (const auto& e : json::list(all, "items"))
    if (json::str(e, "involvedObject", "name") == about)
      out.push_back(std::string(json::str(e, "reason")) + ": " + std::string(json::str(e, "message")));
  return out;
}
bool ControlPlane::wait_event(const std::string& about, const std::string& part) {
  std::vector<std::string> seen;
  bool met = eventually([&] {
    seen = events(about);
    return std::ranges::any_of(seen, [&](const auto& e) { return e.find(part) != std::string::npos; });
  });
  std::string text;
  for (const auto& e : seen) text += e + "\n";
  EXPECT_TRUE(met) << "no event \"" << part << "\" about " << about << " among\n" << text;
  return met;
}

Finished ControlPlane::kubectl(std::vector<std::string> args, std::string input) {
  std::string config = impl_->dir + "/kubeconfig";
  write_text(config, "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: '" + url() +
                         "', certificate-authority: '" + impl_->dir +
                         "/ca.crt'}}]\nusers: [{name: u, user: {token: admin-token}}]\n"
                         "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n");
  Command c{.argv = {"kubectl", "--kubeconfig", config, "--cache-dir", impl_->dir + "/cache"}};
  c.argv.insert(c.argv.end(), args.begin(), args.end());
  c.env = {{"HOME", impl_->dir}};
  c.stdin_text = std::move(input);
  c.timeout = 60s;
  auto r = lab::run(std::move(c));
  EXPECT_TRUE(r.has_value()) << (r ? "" : r.error().text());
  return r.value_or(Finished{.exit_code = -1});
}

json::Value status_of(const json::Value& pod, const std::string& container) {
  for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"})
    for (const auto& s : json::list(pod, "status", list))
      if (container.empty() || json::str(s, "name") == container) return s;
  return nullptr;
}
std::string condition(const json::Value& object, const std::string& type) {
  for (const auto& c : json::list(object, "status", "conditions"))
    if (json::str(c, "type") == type) return std::string(json::str(c, "status"));
  return "";
}

AgentOptions ClusterTest::options_;
std::unique_ptr<ControlPlane> ClusterTest::cluster_;
std::unique_ptr<RunningAgent> ClusterTest::agent_;

void ClusterTest::SetUpTestSuite() {
  options_ = Machine::get().options("n1");
  options_.node_ip = "127.0.0.1";
  options_.port = 0;
  options_.volume_refresh_interval = 10min;  // what volumes are made of is watched
  cluster_ = std::make_unique<ControlPlane>();
  agent_ = cluster_->start_agent(options_);
  ASSERT_TRUE(eventually([] { return condition(cluster_->get(res::nodes, "n1", ""), "Ready") == "True"; }))
      << json::dump_pretty(cluster_->get(res::nodes, "n1", ""));
}
void ClusterTest::TearDownTestSuite() {
  auto pods = cluster_->list(res::pods, "");
  for (const auto& p : json::list(pods, "items"))
    if (!json::has(p, "metadata", "annotations", "kubernetes.io/config.mirror"))
      cluster_->remove(res::pods, std::string(json::str(p, "metadata", "name")),
                       std::string(json::str(p, "metadata", "namespace")), 1);
  eventually([] { return cluster_->list(res::pods, "").at("items").as_array().empty(); });
  agent_.reset();
  cluster_.reset();
}
void ClusterTest::stop_agent() {
  agent_.reset();
}
void ClusterTest::start_agent() {
  agent_ = cluster_->start_agent(options_);
}
void ClusterTest::restart_agent() {
  stop_agent();
  start_agent();
}
std::string ClusterTest::container_of(const std::string& uid, const std::string& kind) {
  auto id =
      Machine::get().ctr({"containers", "list", "-q",
                          "labels.\"io.kubernetes.pod.uid\"==" + uid + ",labels.\"io.cri-containerd.kind\"==" + kind});
  return id.substr(0, id.find('\n'));
}

}  // namespace lab::agent::test
