#include "orchestrator/agent/node_status.h"

#include <algorithm>

#include "base/log.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

using namespace std::chrono_literals;
namespace res = client::res;

namespace {

std::string now_text() {
  return api::format_time(Loop::current()->wall());
}

std::string bytes_text(std::int64_t bytes) {
  return std::to_string(bytes / 1024) + "Ki";
}
std::string cpu_text(std::int64_t milli) {
  return milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m";
}

std::int64_t reserved(const std::string& text, bool cpu) {
  auto q = api::Quantity::parse(text);
  if (!q) return 0;
  return cpu ? q->milli() : q->value();
}

json::Value resource_list(std::int64_t cpu_milli, std::int64_t memory, std::int64_t storage, int pods, bool exact) {
  json::Value out;
  json::set(out, cpu_text(cpu_milli), "cpu");
  json::set(out, exact ? std::to_string(storage) : bytes_text(storage), "ephemeral-storage");
  json::set(out, "0", "hugepages-1Gi");
  json::set(out, "0", "hugepages-2Mi");
  json::set(out, bytes_text(memory), "memory");
  json::set(out, std::to_string(pods), "pods");
  return out;
}

// The status without what changes at every look.
json::Value without_heartbeats(json::Value status) {
  if (auto* conditions = json::ensure(status, "conditions").if_array())
    for (auto& c : *conditions) json::erase(c, "lastHeartbeatTime");
  return status;
}

// Whether a condition that the agent wrote has another value at the server.
bool overwritten(const json::Value& node, const json::Value& written) {
  for (const auto& ours : json::list(written, "conditions"))
    for (const auto& held : json::list(node, "status", "conditions"))
      if (json::str(held, "type") == json::str(ours, "type") && json::str(held, "status") != json::str(ours, "status"))
        return true;
  return false;
}

}  // namespace

NodeCapacity node_capacity(const MachineInfo& m, const Cgroups& cgroups, const AgentOptions& o) {
  NodeCapacity c;
  c.cpu_milli = m.cpus * 1000;
  if (auto limit = cgroups.cpu_limit_milli(); limit > 0) c.cpu_milli = std::min(c.cpu_milli, limit);
  c.memory = m.memory_total;
  if (auto limit = cgroups.memory_limit(); limit > 0) c.memory = std::min(c.memory, limit);
  c.storage = read_disk(o.root_dir).capacity;
  c.allocatable_cpu_milli = std::max<std::int64_t>(c.cpu_milli - reserved(o.allocatable_cpu_reserved, true), 0);
  // As much as the eviction threshold must stay free is not for pods either.
  c.allocatable_memory =
      std::max<std::int64_t>(c.memory - o.eviction_memory_bytes - reserved(o.allocatable_memory_reserved, false), 0);
  const std::int64_t kept_free = std::max(c.storage * o.eviction_disk_percent / 100, o.eviction_disk_bytes);
  c.allocatable_storage =
      std::max<std::int64_t>(c.storage - kept_free - reserved(o.allocatable_storage_reserved, false), 0);
  return c;
}

NodeKeeper::NodeKeeper(const AgentOptions& options, client::Client& api, cri::CriClient& cri, Runtime& runtime,
                       Pool& pool, MachineInfo machine, NodeCapacity capacity, std::string node_ip,
                       client::EventRecorder& events)
    : options_(options),
      api_(api),
      cri_(cri),
      runtime_(runtime),
      pool_(pool),
      machine_(std::move(machine)),
      capacity_(capacity),
      node_ip_(std::move(node_ip)),
      events_(events) {}

json::Value NodeKeeper::node_object() const {
  json::Value node;
  json::set(node, "v1", "apiVersion");
  json::set(node, "Node", "kind");
  json::set(node, options_.node_name, "metadata", "name");
  std::string host = options_.hostname.empty() ? options_.node_name : options_.hostname;
  auto label = [&](const char* key, const std::string& value) { json::set(node, value, "metadata", "labels", key); };
  label("beta.kubernetes.io/arch", machine_.architecture);
  label("beta.kubernetes.io/os", "linux");
  label("kubernetes.io/arch", machine_.architecture);
  label("kubernetes.io/hostname", host);
  label("kubernetes.io/os", "linux");
  for (const auto& [k, v] : options_.labels) json::set(node, v, "metadata", "labels", k);
  json::set(node, "true", "metadata", "annotations", "volumes.kubernetes.io/controller-managed-attach-detach");
  json::ensure(node, "spec").emplace_object();
  if (!options_.provider_id.empty()) json::set(node, options_.provider_id, "spec", "providerID");
  json::Array taints;
  for (const auto& t : options_.register_taints) {
    json::Value v;
    json::set(v, t.key, "key");
    if (!t.value.empty()) json::set(v, t.value, "value");
    json::set(v, t.effect, "effect");
    taints.push_back(std::move(v));
  }
  if (!taints.empty()) json::set(node, std::move(taints), "spec", "taints");
  return node;
}

Task<Result<void>> NodeKeeper::register_node() {
  json::Value wanted = node_object();
  auto created = co_await api_.create(res::nodes, "", wanted);
  if (!created && created.error().code == Code::kAlreadyExists) {
    created = co_await api_.get(res::nodes, "", options_.node_name);
    if (!created) co_return std::unexpected(std::move(created).error());
    json::Value patch;
    for (const auto& [k, v] : json::map(wanted, "metadata", "labels"))
      if (json::at(*created, "metadata", "labels", std::string_view(k)) != v)
        json::set(patch, v, "metadata", "labels", std::string_view(k));
    if (!patch.is_null()) {
      auto done = co_await api_.patch(res::nodes, "", options_.node_name, client::PatchType::kMerge, std::move(patch));
      if (!done) log::warn("the node's labels are not brought up to date", {{"why", done.error().text()}});
    }
    take_transitions(*created);
  }
  if (!created) co_return std::unexpected(std::move(created).error());
  uid_ = std::string(json::str(*created, "metadata", "uid"));
  registered_ = true;
  registered_event_.notify();
  log::info("node registered", {{"node", options_.node_name}});
  events_.event(json::Value{{"kind", "Node"},
                            {"apiVersion", "v1"},
                            {"metadata", {{"name", options_.node_name}, {"uid", options_.node_name}}}},
                "Normal", "Starting", "Starting kubelet.");
  co_return Result<void>{};
}

// Transition times of conditions go on from where they stand, whoever wrote them.
void NodeKeeper::take_transitions(const json::Value& node) {
  for (const auto& c : json::list(node, "status", "conditions"))
    transitions_[std::string(json::str(c, "type"))] = {std::string(json::str(c, "status")),
                                                       std::string(json::str(c, "lastTransitionTime"))};
}

Task<bool> NodeKeeper::wait_registered(std::stop_token stop) {
  while (!registered_)
    if (!co_await registered_event_.wait(stop)) co_return false;
  co_return true;
}

void NodeKeeper::put_condition(json::Array& out, std::string type, bool status, std::string reason,
                               std::string message) const {
  std::string text = status ? "True" : "False";
  auto& known = const_cast<NodeKeeper*>(this)->transitions_[type];
  if (known.first != text || known.second.empty()) known = {text, now_text()};
  json::Value c;
  json::set(c, type, "type");
  json::set(c, text, "status");
  json::set(c, now_text(), "lastHeartbeatTime");
  json::set(c, known.second, "lastTransitionTime");
  json::set(c, reason, "reason");
  json::set(c, message, "message");
  out.push_back(std::move(c));
}

Task<json::Value> NodeKeeper::current_status() {
  std::string problem;
  if (runtime_version_.empty())
    if (auto v = co_await cri_.version(); v) runtime_version_ = v->runtime_name + "://" + v->runtime_version;
  auto conditions = co_await cri_.status();
  if (!conditions) {
    problem = "container runtime is down: " + conditions.error().text();
  } else {
    for (const auto& c : *conditions) {
      if (c.status) continue;
      std::string what =
          c.type == "NetworkReady" ? "container runtime network not ready: " : "container runtime not ready: ";
      problem += (problem.empty() ? "" : ", ") + what + c.type + "=false reason:" + c.reason + " message:" + c.message;
    }
    if (problem.empty() && !runtime_.last_error().empty()) problem = "PLEG is not healthy: " + runtime_.last_error();
  }
  struct Seen {
    MemoryUse memory;
    DiskUse disk;
    PidUse pids;
  };
  auto seen =
      co_await pool_.run([root = options_.root_dir] { return Seen{read_memory(), read_disk(root), read_pids()}; });
  auto images = co_await cri_.list_images();

  json::Value s;
  json::Array list;
  bool memory = seen.memory.available < options_.eviction_memory_bytes;
  bool disk =
      seen.disk.capacity > 0 && (seen.disk.available * 100 / seen.disk.capacity < options_.eviction_disk_percent ||
                                 seen.disk.available < options_.eviction_disk_bytes ||
                                 (seen.disk.inodes > 0 && seen.disk.inodes_free * 100 / seen.disk.inodes <
                                                              options_.eviction_inodes_percent));
  bool pids = seen.pids.max > 0 && seen.pids.max - seen.pids.used < options_.eviction_pids;
  put_condition(list, "MemoryPressure", memory, memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
                memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available");
  put_condition(list, "DiskPressure", disk, disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                disk ? "kubelet has disk pressure" : "kubelet has no disk pressure");
  put_condition(list, "PIDPressure", pids, pids ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
                pids ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available");
  bool was_ready = ready_;
  ready_ = problem.empty();
  put_condition(list, "Ready", ready_, ready_ ? "KubeletReady" : "KubeletNotReady",
                ready_ ? "kubelet is posting ready status" : problem);
  if (was_ready != ready_) log::info(ready_ ? "the node is ready" : "the node is not ready", {{"why", problem}});
  if (ready_ && !was_ready && on_ready_) on_ready_();
  json::set(s, std::move(list), "conditions");

  json::Array addresses;
  if (!node_ip_.empty()) addresses.push_back(json::Object{{"type", "InternalIP"}, {"address", node_ip_}});
  std::string host = options_.hostname.empty() ? options_.node_name : options_.hostname;
  addresses.push_back(json::Object{{"type", "Hostname"}, {"address", host}});
  json::set(s, std::move(addresses), "addresses");
  json::set(s, resource_list(capacity_.cpu_milli, capacity_.memory, capacity_.storage, options_.max_pods, false),
            "capacity");
  json::set(s,
            resource_list(capacity_.allocatable_cpu_milli, capacity_.allocatable_memory, capacity_.allocatable_storage,
                          options_.max_pods, true),
            "allocatable");
  if (port_ > 0) json::set(s, port_, "daemonEndpoints", "kubeletEndpoint", "Port");
  auto info = [&](const char* key, const std::string& value) { json::set(s, value, "nodeInfo", key); };
  info("machineID", machine_.machine_id);
  info("systemUUID", machine_.system_uuid);
  info("bootID", machine_.boot_id);
  info("kernelVersion", machine_.kernel_version);
  info("osImage", machine_.os_image);
  info("containerRuntimeVersion", runtime_version_);
  info("kubeletVersion", kKubeletVersion);
  info("kubeProxyVersion", kKubeletVersion);
  info("operatingSystem", "linux");
  info("architecture", machine_.architecture);
  if (images) {
    std::ranges::sort(*images, [](const auto& a, const auto& b) { return a.size > b.size; });
    json::Array out;
    for (const auto& i : *images) {
      if (out.size() >= 50) break;
      json::Array names;
      for (const auto& d : i.digests) names.emplace_back(d);
      for (const auto& t : i.tags) names.emplace_back(t);
      out.push_back(json::Object{{"names", std::move(names)}, {"sizeBytes", i.size}});
    }
    json::set(s, std::move(out), "images");
  }
  co_return s;
}

Task<Result<void>> NodeKeeper::write_status(json::Value status) {
  json::Value body;
  json::set(body, std::move(status), "status");
  LAB_CO_TRY(auto node, co_await api_.patch(res::nodes, "", options_.node_name, client::PatchType::kStrategic,
                                            std::move(body), "status"));
  uid_ = std::string(json::str(node, "metadata", "uid"));
  std::string cidr(json::str(node, "spec", "podCIDR"));
  if (!cidr.empty() && cidr != pod_cidr_ && (co_await cri_.update_runtime_config(cidr))) pod_cidr_ = cidr;
  co_return Result<void>{};
}

Task<void> NodeKeeper::status_loop(std::stop_token stop) {
  Duration pause = 50ms;
  std::string told;
  while (!stop.stop_requested()) {
    Result<void> done;
    if (!registered_) done = co_await register_node();
    if (done) {
      json::Value status = co_await current_status();
      json::Value core = without_heartbeats(status);
      TimePoint now = Loop::current()->now();
      bool due = core != written_ || now - written_at_ >= options_.node_status_report_interval;
      if (!due) {
        // A node that was silent for a while finds its conditions overwritten by the control plane.
        auto held = co_await api_.get(res::nodes, "", options_.node_name);
        if (!held) {
          done = std::unexpected(std::move(held).error());
        } else if (overwritten(*held, core)) {
          take_transitions(*held);
          written_ = nullptr;
          continue;
        }
      }
      if (due) {
        done = co_await write_status(std::move(status));
        if (done) {
          written_ = std::move(core);
          written_at_ = now;
        }
      }
    }
    if (stop.stop_requested()) break;
    if (!done) {
      if (done.error().code == Code::kNotFound) registered_ = false;  // somebody deleted the Node: make it anew
      if (told != done.error().text()) {
        told = done.error().text();
        log::warn("the node's status cannot be written", {{"node", options_.node_name}, {"why", told}});
      }
      co_await sleep_for(pause, stop);
      pause = std::min<Duration>(pause * 2, 5s);
      continue;
    }
    told.clear();
    pause = 50ms;
    // A node that is not ready yet is looked at often, so that it becomes ready as soon as its network is.
    Duration next = options_.node_status_interval;
    if (!ready_) next = std::min<Duration>(next, 250ms);
    co_await runtime_.wait_health_change(next, stop);
  }
}

Task<void> NodeKeeper::lease_loop(std::stop_token stop) {
  static constexpr const char* kNamespace = "kube-node-lease";
  json::Value lease;
  if (!co_await wait_registered(stop)) co_return;
  while (!stop.stop_requested()) {
    std::string now = api::format_micro_time(Loop::current()->wall());
    Result<json::Value> done = fail(Code::kNotFound, "");
    if (!lease.is_null()) {
      json::set(lease, now, "spec", "renewTime");
      done = co_await api_.update(res::leases, kNamespace, lease);
    }
    if (!done && (done.error().code == Code::kNotFound || done.error().code == Code::kConflict)) {
      done = co_await api_.get(res::leases, kNamespace, options_.node_name);
      bool missing = !done && done.error().code == Code::kNotFound;
      if (done) {
        json::set(*done, options_.node_name, "spec", "holderIdentity");
        json::set(*done, 40, "spec", "leaseDurationSeconds");
        json::set(*done, now, "spec", "renewTime");
        done = co_await api_.update(res::leases, kNamespace, std::move(*done));
      } else if (missing) {
        json::Value fresh;
        json::set(fresh, "coordination.k8s.io/v1", "apiVersion");
        json::set(fresh, "Lease", "kind");
        json::set(fresh, options_.node_name, "metadata", "name");
        json::set(fresh, kNamespace, "metadata", "namespace");
        json::Value owner{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", options_.node_name}, {"uid", uid_}};
        json::set(fresh, json::Array{std::move(owner)}, "metadata", "ownerReferences");
        json::set(fresh, options_.node_name, "spec", "holderIdentity");
        json::set(fresh, 40, "spec", "leaseDurationSeconds");
        json::set(fresh, now, "spec", "renewTime");
        done = co_await api_.create(res::leases, kNamespace, std::move(fresh));
      }
    }
    if (done) {
      lease = std::move(*done);
      co_await sleep_for(options_.node_lease_interval, stop);
    } else {
      log::debug("the node's lease is not renewed", {{"why", done.error().text()}});
      co_await sleep_for(std::min<Duration>(options_.node_lease_interval, 1s), stop);
    }
  }
}

}  // namespace lab::agent
