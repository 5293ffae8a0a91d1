// PodWorker: other amounts of cpu and memory for containers that run (in-place resize, KEP-1287).
#include <algorithm>

#include "orchestrator/agent/pod_worker.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

json::Value holder(const json::Value& resources) {
  return json::Object{{"resources", resources}};
}

bool same_cpu(const json::Value& a, const json::Value& b) {
  return requests_of(holder(a)).cpu_milli == requests_of(holder(b)).cpu_milli &&
         limits_of(holder(a)).cpu_milli == limits_of(holder(b)).cpu_milli;
}

bool same_memory(const json::Value& a, const json::Value& b) {
  return requests_of(holder(a)).memory == requests_of(holder(b)).memory &&
         limits_of(holder(a)).memory == limits_of(holder(b)).memory;
}

bool must_restart(const json::Value& container, const char* resource) {
  for (const auto& policy : json::list(container, "resizePolicy"))
    if (json::str(policy, "resourceName") == resource) return json::str(policy, "restartPolicy") == "RestartContainer";
  return false;
}

}  // namespace

// What a running container has: as it was made, as it was changed since, or, after a restart of the agent, as was told.
const json::Value& PodWorker::applied_resources(const ContainerRef& c, const std::string& id) {
  auto [it, fresh] = applied_.try_emplace(id, json::at(*c.spec, "resources"));
  if (!fresh) return it->second;
  for (const char* list : {"containerStatuses", "initContainerStatuses"})
    for (const auto& s : json::list(json::at(*pod_, "status"), list))
      if (json::str(s, "name") == c.name && json::str(s, "containerID").ends_with(id) && json::has(s, "resources"))
        it->second = json::at(s, "resources");
  return it->second;
}

// True when a container was stopped because it takes its new amounts only from its start.
Task<bool> PodWorker::resize() {
  ObjectPtr pod = pod_;
  if (is_static(*pod)) co_return false;
  std::erase_if(applied_, [this](const auto& known) {
    return std::ranges::none_of(observed_.containers, [&](const auto& c) { return c.id == known.first; });
  });
  bool changed = false;
  for (const auto& c : containers_of(*pod)) {
    const auto* running = observed_.latest(c.name);
    if (!c.long_lived() || !running || running->state != cri::ContainerState::kRunning) continue;
    const std::string id = running->id;
    const json::Value wanted = json::at(*c.spec, "resources"), has = applied_resources(c, id);
    if (has == wanted) continue;
    const bool cpu = !same_cpu(has, wanted), memory = !same_memory(has, wanted);
    if ((cpu && must_restart(*c.spec, "cpu")) || (memory && must_restart(*c.spec, "memory"))) {
      auto status = *running;
      (void)co_await node_.pool.run([this, pod] { return node_.cgroups.make_pod(*pod); });
      co_await kill_container(status, "Container " + c.name + " resize requires restart", grace_seconds(*pod_));
      co_return true;
    }
    if (cpu || memory) {
      if (too_soon("resize " + c.name)) continue;
      // The pod's own limits make room before its containers grow; below they follow those that shrank.
      if (!std::exchange(changed, true))
        (void)co_await node_.pool.run([this, pod] { return node_.cgroups.make_pod(*pod); });
      auto done = co_await node_.cri.update_resources(id, container_resources(*pod, *c.spec, node_.memory_capacity));
      if (!done) {
        emit("Warning", "ResizeError", "Error resizing container " + c.name + ": " + done.error().text(), &c);
        retry_later("resize " + c.name, 1s);
        continue;
      }
      retries_.erase("resize " + c.name);
      emit("Normal", "ResizeCompleted", "Resized container " + c.name + " to " + json::dump(wanted), &c);
    }
    applied_.insert_or_assign(id, wanted);
  }
  if (changed) (void)co_await node_.pool.run([this, pod] { return node_.cgroups.make_pod(*pod); });
  co_return false;
}

}  // namespace lab::agent
