#include "orchestrator/agent/agent.h"

#include "base/fs.h"
#include "base/log.h"
#include "orchestrator/agent/agent_impl.h"

namespace lab::agent {

using namespace std::chrono_literals;
namespace res = client::res;

Agent::Impl::Impl(AgentOptions o, client::Client* a, Loop& l)
    : options(std::move(o)),
      api(a),
      loop(l),
      cri(options.cri_socket),
      cgroups({.root = options.cgroup_root, .driver = options.cgroup_driver, .pod_pids = options.pod_pids_limit}),
      machine(read_machine()),
      capacity(node_capacity(machine, cgroups, options)),
      node_ip(options.node_ip.empty() ? default_address() : options.node_ip),
      objects(api),
      watches(api),
      tokens(api),
      volumes(options.root_dir, objects, watches, tokens, pool),
      images(cri, objects, options) {}

Variables Agent::Impl::service_environment(const std::string& ns, bool links) const {
  if (!service_informer) return {};
  std::vector<ObjectPtr> chosen;
  if (links) chosen = service_informer->list_namespace(ns);
  // The API server's own Service is known everywhere.
  if (!links || ns != "default")
    if (auto master = service_informer->get("default/kubernetes")) {
      bool shadowed = links && service_informer->get(ns + "/kubernetes");
      if (!shadowed) chosen.push_back(master);
    }
  return service_variables(chosen);
}

PodFacts Agent::Impl::node_facts() const {
  PodFacts f;
  f.node_name = options.node_name;
  f.host_ip = node_ip;
  if (!node_ip.empty()) f.host_ips = {node_ip};
  f.allocatable_cpu_milli = capacity.allocatable_cpu_milli;
  f.allocatable_memory = capacity.allocatable_memory;
  f.allocatable_storage = capacity.allocatable_storage;
  return f;
}

void Agent::Impl::event(const json::Value& pod, std::string type, std::string reason, std::string message,
                        std::string path) {
  log::debug("event", {{"pod", key_of(pod)}, {"reason", reason}, {"message", message}});
  if (!recorder) return;
  json::Value ref;
  json::set(ref, "v1", "apiVersion");
  json::set(ref, "Pod", "kind");
  for (const char* field : {"name", "namespace", "uid", "resourceVersion"})
    if (json::has(pod, "metadata", field)) json::set(ref, json::at(pod, "metadata", field), "metadata", field);
  recorder->event(ref, std::move(type), std::move(reason), std::move(message), std::move(path));
}

NodeServices Agent::Impl::make_services() {
  return NodeServices{
      .options = options,
      .loop = loop,
      .cri = cri,
      .runtime = runtime,
      .cgroups = cgroups,
      .volumes = volumes,
      .objects = objects,
      .images = images,
      .statuses = *statuses,
      .pool = pool,
      .api = api,
      .event =
          [this](const json::Value& pod, std::string type, std::string reason, std::string message, std::string path) {
            event(pod, std::move(type), std::move(reason), std::move(message), std::move(path));
          },
      .service_environment = [this](const std::string& ns, bool links) { return service_environment(ns, links); },
      .node_facts = [this] { return node_facts(); },
      .refuse = [this](const json::Value& pod) { return refuse(pod); },
      .memory_capacity = capacity.memory};
}

Result<void> Agent::Impl::start(Scope& s) {
  scope = &s;
  if (options.node_name.empty()) return fail(Code::kInvalid, "the agent needs a node name");
  for (const std::string& dir : {options.root_dir, options.root_dir + "/pods", options.pod_log_dir})
    LAB_CHECK(fs::make_dirs(dir, 0755));
  if (!options.container_log_dir.empty()) LAB_CHECK(fs::make_dirs(options.container_log_dir, 0755));

  statuses = std::make_unique<StatusManager>(api, s);
  services = std::make_unique<NodeServices>(make_services());
  if (api) {
    recorder = std::make_unique<client::EventRecorder>(*api, s, "kubelet", options.node_name);
    keeper = std::make_unique<NodeKeeper>(options, *api, cri, runtime, pool, machine, capacity, node_ip, *recorder);
    service_informer = std::make_unique<client::Informer>(*api, res::services);
    pod_informer = std::make_unique<client::Informer>(
        *api, res::pods, client::ListOptions{.field_selector = "spec.nodeName=" + options.node_name});
    pod_informer->on_change([this](const ObjectPtr& old, const ObjectPtr& now) { on_pod(old, now); });
  }
  watches.start(s, [this](const ObjectRef& ref, const std::string& ns, const ObjectPtr& now,
                          const std::set<std::string>& pods) { on_volume_object(ref, ns, now, pods); });
  LAB_TRY(auto made, AgentServer::start(options, make_backend()));
  server = std::move(made);
  if (keeper && server) keeper->set_port(server->port());
  if (keeper)
    keeper->on_ready([this] {
      for (auto& [uid, worker] : workers) worker->try_again_now();
    });

  auto stop = s.token();
  s.spawn("relist", [this, stop]() -> Task<void> {
    co_await runtime.relist_loop(
        [this](const std::string& uid) {
          if (auto* w = find(uid))
            w->wake();
          else
            check_orphan(uid);
        },
        stop);
  });
  if (keeper) {
    s.spawn("node status", keeper->status_loop(stop));
    s.spawn("node lease", keeper->lease_loop(stop));
    service_informer->start(s);
    pod_informer->start(s);
    s.spawn("mirror pods", mirror_loop(stop));
  }
  if (server) s.spawn("server", stop_server(stop));
  s.spawn("manifests", manifest_loop(stop));
  if (!options.static_pod_path.empty()) {
    s.spawn("manifest watch", follow_manifests(stop));
    s.spawn("manifest watch's end", close_watch(stop));
  }
  s.spawn("orphans", adopt_or_remove_orphans(stop));
  s.spawn("collector", gc_loop(stop));
  return {};
}

// The server ends while this loop still runs: a request under way may be waiting for an answer from here.
Task<void> Agent::Impl::stop_server(std::stop_token stop) {
  Event never;
  while (co_await never.wait(stop)) {
  }
  co_await pool.run([this] { server->stop(); });
}

Agent::Agent(AgentOptions options, client::Client* api, Loop& loop)
    : impl_(std::make_unique<Impl>(std::move(options), api, loop)) {}
Agent::~Agent() = default;
Result<void> Agent::start(Scope& scope) {
  return impl_->start(scope);
}
int Agent::port() const {
  return impl_->server ? impl_->server->port() : 0;
}
bool Agent::ready() const {
  return impl_->keeper ? impl_->keeper->ready() : impl_->runtime.listed_once();
}
Result<void> Agent::reload_tls(std::string certificate_pem, std::string key_pem) {
  if (!impl_->server) return fail(Code::kNotFound, "the agent runs no HTTPS server");
  return impl_->server->reload_tls(std::move(certificate_pem), std::move(key_pem));
}
Result<void> Agent::reload_client_ca(std::string ca_pem) {
  if (!impl_->server) return fail(Code::kNotFound, "the agent runs no HTTPS server");
  return impl_->server->reload_client_ca(std::move(ca_pem));
}
void Agent::renew_tokens() {
  impl_->loop.post([impl = impl_.get()] {
    impl->tokens.renew_all();
    for (auto& [uid, worker] : impl->workers) worker->refresh_volumes();
  });
}
std::vector<client::ObjectPtr> Agent::pods() const {
  return impl_->pods();
}

}  // namespace lab::agent
