// Which pods this node runs: from the API, from manifests, and what an earlier agent left in the runtime.
#include "base/log.h"
#include "orchestrator/agent/agent_impl.h"

namespace lab::agent {

using namespace std::chrono_literals;
namespace res = client::res;

PodWorker* Agent::Impl::find(const std::string& uid) const {
  auto it = workers.find(uid);
  return it == workers.end() ? nullptr : it->second.get();
}

PodWorker* Agent::Impl::find(const std::string& ns, const std::string& name) const {
  PodWorker* found = nullptr;
  for (const auto& [uid, worker] : workers)
    if (namespace_of(*worker->pod()) == ns && name_of(*worker->pod()) == name)
      if (!found || !worker->terminated()) found = worker.get();
  if (found) return found;
  for (const auto& [uid, worker] : workers) {  // a pod may be asked for by its uid, too
    if (uid == name) return worker.get();
  }
  return nullptr;
}

std::vector<ObjectPtr> Agent::Impl::pods() const {
  std::vector<ObjectPtr> out;
  for (const auto& [uid, worker] : workers) {
    json::Value pod = *worker->pod();
    json::set(pod, "v1", "apiVersion");
    json::set(pod, "Pod", "kind");
    if (!worker->status().is_null()) json::set(pod, worker->status(), "status");
    out.push_back(std::make_shared<const json::Value>(std::move(pod)));
  }
  return out;
}

namespace {

struct HostPort {
  std::string protocol, ip;
  std::int64_t port = 0;
};

std::vector<HostPort> host_ports(const json::Value& pod) {
  std::vector<HostPort> out;
  for (const auto& c : json::list(pod, "spec", "containers"))
    for (const auto& p : json::list(c, "ports")) {
      const auto port = json::num(p, "hostPort");
      if (port == 0) continue;
      const auto protocol = json::str(p, "protocol"), ip = json::str(p, "hostIP");
      out.push_back({std::string(protocol.empty() ? "TCP" : protocol), std::string(ip == "0.0.0.0" ? "" : ip), port});
    }
  return out;
}

bool ports_clash(const std::vector<HostPort>& a, const std::vector<HostPort>& b) {
  for (const auto& x : a)
    for (const auto& y : b)
      if (x.port == y.port && x.protocol == y.protocol && (x.ip.empty() || y.ip.empty() || x.ip == y.ip)) return true;
  return false;
}

}  // namespace

// The scheduler counts before it binds; but a pod may be bound by hand, or by a scheduler that did not know of another.
std::optional<std::pair<std::string, std::string>> Agent::Impl::refuse(const json::Value& pod) const {
  auto asked = [](const json::Value& p) {
    std::pair<std::int64_t, std::int64_t> sum;
    for (const auto& c : containers_of(p)) {
      if (!c.long_lived()) continue;
      auto r = requests_of(*c.spec);
      sum.first += r.cpu_milli.value_or(0);
      sum.second += r.memory.value_or(0);
    }
    return sum;
  };
  auto [cpu, memory] = asked(pod);
  std::int64_t used_cpu = 0, used_memory = 0, count = 0;
  const auto ports = host_ports(pod);
  for (const auto& [uid, worker] : workers) {
    if (uid == uid_of(pod) || worker->terminated()) continue;
    if (!ports.empty() && !is_terminal(*worker->pod()) && ports_clash(ports, host_ports(*worker->pod())))
      return std::pair(std::string("NodePorts"),
                       std::string("Predicate NodePorts failed: node(s) didn't have free ports for the requested pod "
                                   "ports"));
    auto [c, m] = asked(*worker->pod());
    used_cpu += c;
    used_memory += m;
    ++count;
  }
  auto full = [](const std::string& what, std::int64_t want, std::int64_t used, std::int64_t have) {
    return std::pair("OutOf" + what, "Node didn't have enough resource: " + what +
                                         ", requested: " + std::to_string(want) + ", used: " + std::to_string(used) +
                                         ", capacity: " + std::to_string(have));
  };
  if (count + 1 > options.max_pods) return full("pods", 1, count, options.max_pods);
  if (cpu > 0 && used_cpu + cpu > capacity.allocatable_cpu_milli)
    return full("cpu", cpu, used_cpu, capacity.allocatable_cpu_milli);
  if (memory > 0 && used_memory + memory > capacity.allocatable_memory)
    return full("memory", memory, used_memory, capacity.allocatable_memory);
  return std::nullopt;
}

void Agent::Impl::on_pod(const ObjectPtr& old, const ObjectPtr& now) {
  const ObjectPtr& any = now ? now : old;
  if (is_mirror(*any)) {
    std::string key = key_of(*any);
    if (now)
      mirrors[key] = now;
    else
      mirrors.erase(key);
    for (const auto& [uid, pod] : static_pods)
      if (key_of(*pod) == key)
        if (auto* w = find(uid)) w->set_mirror(now);
    mirrors_due.notify();
    return;
  }
  if (old && (!now || uid_of(*old) != uid_of(*now))) forget_source(uid_of(*old));
  if (now) {
    dispatch(now);
    statuses->observed(now);
  }
}

void Agent::Impl::dispatch(const ObjectPtr& pod) {
  if (auto* w = find(uid_of(*pod)))
    w->update(pod);
  else if (!finished.contains(uid_of(*pod)))
    start_worker(pod, false);
}

void Agent::Impl::on_volume_object(const ObjectRef& ref, const std::string& ns, const ObjectPtr& now,
                                   const std::set<std::string>& pods) {
  if (!objects.observe(ref.kind, ns, ref.name, now)) return;
  for (const auto& uid : pods)
    if (auto* w = find(uid)) w->refresh_volumes();
}

void Agent::Impl::forget_source(const std::string& uid) {
  finished.erase(uid);
  if (auto* w = find(uid)) w->remove();
}

void Agent::Impl::start_worker(const ObjectPtr& pod, bool orphan) {
  std::string uid = uid_of(*pod);
  auto& worker = workers[uid];
  worker = std::make_unique<PodWorker>(*services, pod);
  if (orphan) worker->remove();
  bool from_api = !orphan && !is_static(*pod);
  scope->spawn("pod " + key_of(*pod), run_worker(uid, from_api, scope->token()));
}

Task<void> Agent::Impl::run_worker(std::string uid, bool from_api, std::stop_token stop) {
  PodWorker* worker = workers.at(uid).get();
  // Variables of Services belong to a container's environment from its start: wait for them, but not for ever.
  if (from_api && service_informer && !service_informer->synced()) {
    std::stop_source enough;
    std::stop_callback on_stop(stop, [&enough] { enough.request_stop(); });
    auto timer = loop.call_at(loop.now() + 5s, [enough]() mutable { enough.request_stop(); });
    co_await service_informer->wait_synced(enough.get_token());
    loop.cancel_timer(timer);
  }
  // A manifest that changed gives a new pod of the same name: the old one ends first (its ports are the same).
  std::string key = key_of(*worker->pod());
  while (!from_api && !stop.stop_requested()) {
    bool other = false;
    for (const auto& [id, w] : workers)
      if (id != uid && is_static(*w->pod()) && key_of(*w->pod()) == key && static_pods.contains(uid) &&
          !static_pods.contains(id))
        other = true;
    if (!other) break;
    co_await sleep_for(100ms, stop);
  }
  co_await worker->run(stop);
  if (worker->finished()) {
    // Late news of a pod whose object was just deleted, or waits for finalizers, must not bring it back to life.
    if (from_api && pod_informer->get(key)) finished.insert(uid);
    workers.erase(uid);
    mirrors_due.notify();
  }
}

Task<void> Agent::Impl::manifest_loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (!options.static_pod_path.empty()) {
      auto set = co_await pool.run(
          [dir = options.static_pod_path, node = options.node_name] { return read_manifests(dir, node); });
      take_manifests(std::move(set));
    }
    manifests_read = true;
    if (!std::exchange(manifests_changed, false)) co_await manifests_due.wait_for(options.manifest_interval, stop);
  }
}

Task<void> Agent::Impl::follow_manifests(std::stop_token stop) {
  while (!stop.stop_requested()) {
    manifest_watch = watch_manifests(options.static_pod_path);
    if (!manifest_watch) {  // the directory may be made yet
      co_await sleep_for(std::min<Duration>(options.manifest_interval, 1s), stop);
      continue;
    }
    do {  // once for what came before the watch
      manifests_changed = true;
      manifests_due.notify();
    } while (co_await manifest_watch->readable() && take_news(*manifest_watch));
  }
}

Task<void> Agent::Impl::close_watch(std::stop_token stop) {
  Event never;
  while (!stop.stop_requested()) co_await never.wait(stop);
  if (manifest_watch) manifest_watch->close();
}

void Agent::Impl::take_manifests(StaticPodSet set) {
  for (const auto& [file, why] : set.problems)
    if (manifest_problems[file] != why) log::error("a manifest is not run", {{"file", file}, {"why", why}});
  manifest_problems = std::move(set.problems);
  bool changed = false;
  for (auto it = static_pods.begin(); it != static_pods.end();) {
    if (set.pods.contains(it->first)) {
      ++it;
      continue;
    }
    log::info("static pod removed", {{"pod", key_of(*it->second)}});
    forget_source(it->first);
    it = static_pods.erase(it);
    changed = true;
  }
  for (const auto& [uid, pod] : set.pods) {
    if (static_pods.contains(uid)) continue;
    log::info("static pod found", {{"pod", key_of(*pod)}});
    static_pods[uid] = pod;
    changed = true;
    dispatch(pod);
    if (auto it = mirrors.find(key_of(*pod)); it != mirrors.end()) find(uid)->set_mirror(it->second);
  }
  if (changed) mirrors_due.notify();
}

Task<void> Agent::Impl::mirror_loop(std::stop_token stop) {
  if (!co_await pod_informer->wait_synced(stop) || !co_await keeper->wait_registered(stop)) co_return;
  while (!stop.stop_requested()) {
    if (manifests_read) co_await sync_mirrors();
    co_await mirrors_due.wait_for(manifests_read ? 5s : 100ms, stop);
  }
}

// Every static pod has one mirror, made of the same manifest; every mirror has a static pod.
Task<void> Agent::Impl::sync_mirrors() {
  std::map<std::string, ObjectPtr> wanted;
  for (const auto& [uid, pod] : static_pods) wanted[key_of(*pod)] = pod;
  auto have = mirrors;
  for (const auto& [key, mirror] : have) {
    auto it = wanted.find(key);
    bool right = it != wanted.end() && json::str(*mirror, "metadata", "annotations", kMirrorAnnotation) ==
                                           json::str(*it->second, "metadata", "annotations", kHashAnnotation);
    if (right && !is_deleted(*mirror)) continue;
    client::DeleteOptions gone;
    gone.grace_seconds = 0;
    gone.uid = uid_of(*mirror);
    (void)co_await api->remove(res::pods, namespace_of(*mirror), name_of(*mirror), gone);
    mirrors.erase(key);
  }
  for (const auto& [key, pod] : wanted) {
    if (mirrors.contains(key)) continue;
    auto made =
        co_await api->create(res::pods, namespace_of(*pod), make_mirror_pod(*pod, options.node_name, keeper->uid()));
    if (made) {
      auto mirror = std::make_shared<const json::Value>(std::move(*made));
      mirrors[key] = mirror;
      if (auto* w = find(uid_of(*pod))) w->set_mirror(mirror);
    } else if (made.error().code != Code::kAlreadyExists) {
      log::debug("a mirror pod is not made", {{"pod", key}, {"why", made.error().text()}});
    }
  }
}

// Pods that only the runtime knows: their objects were deleted, or their manifests, while no agent ran.
Task<void> Agent::Impl::adopt_or_remove_orphans(std::stop_token stop) {
  if (pod_informer && !co_await pod_informer->wait_synced(stop)) co_return;
  while (!manifests_read && co_await sleep_for(50ms, stop)) {
  }
  if (!co_await runtime.wait_listed(stop)) co_return;
  while (!stop.stop_requested()) {
    for (const auto& known : runtime.known_pods()) check_orphan(known.uid);
    co_await sleep_for(options.gc_interval, stop);
  }
}

void Agent::Impl::check_orphan(const std::string& uid) {
  bool sources_known = manifests_read && (!pod_informer || pod_informer->synced());
  if (!sources_known || workers.contains(uid)) return;
  for (const auto& known : runtime.known_pods()) {
    if (known.uid != uid) continue;
    log::info("a pod that nobody asks for is removed", {{"pod", known.ns + "/" + known.name}, {"uid", uid}});
    json::Value pod{{"metadata", {{"name", known.name}, {"namespace", known.ns}, {"uid", uid}}},
                    {"spec", json::Object()}};
    start_worker(std::make_shared<const json::Value>(std::move(pod)), true);
  }
}

}  // namespace lab::agent
