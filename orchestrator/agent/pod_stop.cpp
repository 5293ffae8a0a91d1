// PodWorker: what takes a pod down: grace periods, hooks, sandbox, clean-up.
#include <algorithm>

#include "base/fs.h"
#include "base/log.h"
#include "orchestrator/agent/gather.h"
#include "orchestrator/agent/pod_worker.h"

namespace lab::agent {

using namespace std::chrono_literals;

Task<void> PodWorker::kill_container(cri::ContainerStatus status, std::string message, std::int64_t grace) {
  auto ref = find_container(*pod_, status.name);
  ContainerRef c = ref ? *ref : ContainerRef{ContainerRef::kRegular, &json::null_value(), status.name};
  ObjectPtr pod = pod_;  // keeps c's spec alive
  emit("Normal", "Killing", message.empty() ? "Stopping container " + status.name : message, &c);
  TimePoint begun = node_.loop.now();
  being_stopped_.insert(status.id);
  if (const auto& hook = json::at(*c.spec, "lifecycle", "preStop"); hook.is_object() && grace > 0) {
    auto verdict =
        co_await try_handler(&node_.cri, hook, pod, c.name, status.id, facts().pod_ip, std::chrono::seconds(grace));
    if (!verdict.ok) emit("Warning", "FailedPreStopHook", "PreStopHook failed: " + verdict.output, &c);
    auto used = std::chrono::duration_cast<std::chrono::seconds>(node_.loop.now() - begun).count();
    grace = std::max<std::int64_t>(grace - used, 2);  // as the kubelet: two seconds at least after a hook
  }
  grace = std::min(grace, terminating_ ? terminating_grace_ : grace);
  for (int tries = 0; tries < 5; ++tries) {
    auto done = co_await node_.cri.stop_container(status.id, std::chrono::seconds(grace));
    if (done || done.error().code == Code::kCancelled) break;
    emit("Warning", "FailedKillPod", "error killing container " + status.name + ": " + done.error().text(), &c);
    co_await sleep_for(1s, scope_.token());
    grace = 0;
  }
  being_stopped_.erase(status.id);
}

Task<bool> PodWorker::kill_one(cri::ContainerStatus container, std::int64_t grace) {
  co_await kill_container(std::move(container), "", grace);
  co_return true;
}

Task<void> PodWorker::kill_all(std::int64_t grace) {
  TimePoint begun = node_.loop.now();
  std::vector<OneShot<bool>> waits;
  std::vector<cri::ContainerStatus> sidecars;
  for (const auto& c : observed_.containers) {
    if (c.state != cri::ContainerState::kRunning && c.state != cri::ContainerState::kUnknown) continue;
    auto ref = find_container(*pod_, c.name);
    if (ref && ref->kind == ContainerRef::kSidecar) {
      sidecars.push_back(c);
      continue;
    }
    waits.push_back(begin<bool>(scope_, "kill container", kill_one(c, grace), false));
  }
  for (auto& w : waits) (void)co_await w.wait();
  // Sidecars outlive the others and end in the reverse of their order, within the same grace period.
  auto order = containers_of(*pod_);
  auto index = [&](const cri::ContainerStatus& s) {
    return std::ranges::find(order, s.name, &ContainerRef::name) - order.begin();
  };
  std::ranges::sort(sidecars, [&](const auto& a, const auto& b) { return index(a) > index(b); });
  for (const auto& c : sidecars) {
    auto used = std::chrono::duration_cast<std::chrono::seconds>(node_.loop.now() - begun).count();
    auto copy = c;
    co_await kill_container(std::move(copy), "", std::max<std::int64_t>(grace - used, 1));
  }
}

Task<void> PodWorker::stop_sandboxes() {
  for (const auto& s : observed_.sandboxes) {
    if (!s.ready) continue;
    std::string id = s.id;
    if (auto done = co_await node_.cri.stop_sandbox(id); !done && done.error().code != Code::kCancelled)
      emit("Warning", "FailedKillPod", "error killing pod: failed to stop sandbox: " + done.error().text());
  }
}

// After this the pod runs nothing any more: terminated_ is set unless `stop` came or the runtime failed.
Task<void> PodWorker::terminate(std::stop_token stop) {
  terminating_ = true;
  terminating_grace_ = std::max<std::int64_t>(grace_seconds(*pod_), 1);
  // Of a pod whose object is lost the containers remember the grace period.
  if (!json::has(*pod_, "spec", "containers"))
    for (const auto& c : observed_.containers)
      if (auto it = c.annotations.find("io.kubernetes.pod.terminationGracePeriod"); it != c.annotations.end())
        terminating_grace_ = std::max<std::int64_t>(std::atoll(it->second.c_str()), 1);
  prober_.stop_all();
  co_await kill_all(terminating_grace_);
  if (stop.stop_requested()) co_return;
  co_await stop_sandboxes();
  if (!co_await observe()) {
    terminating_ = false;
    co_await wake_.wait_for(1s, stop);
    co_return;
  }
  bool running = observed_.anything_running() || observed_.ready_sandbox();
  terminating_ = false;
  if (running) {  // the runtime has not managed it: tell and try again
    co_await wake_.wait_for(1s, stop);
    co_return;
  }
  co_await read_termination_messages();
  waiting_.clear();
  terminated_ = true;
  bool forced = is_deleted(*pod_) && json::num(*pod_, "metadata", "deletionGracePeriodSeconds") == 0;
  if (!forced && !removed_) report();
}

// A terminated pod: kept for its status and logs until its object is deleted, then everything of it is removed.
Task<Duration> PodWorker::finish(std::stop_token stop) {
  if (!removed_ && !is_deleted(*pod_)) {
    co_await remove_leftovers();
    co_return Duration(10min);
  }
  auto cleaned = co_await node_.volumes.tear_down(uid_);
  if (!cleaned) {
    log::warn("a pod's volumes cannot be taken down yet", {{"pod", key_of(*pod_)}, {"why", cleaned.error().text()}});
    co_return Duration(1s);
  }
  if (node_.api && !removed_ && !is_static(*pod_)) {
    co_await node_.statuses.wait_written(uid_, stop);
    client::DeleteOptions options;
    options.grace_seconds = 0;
    options.uid = uid_;
    auto done = co_await node_.api->remove(client::res::pods, namespace_of(*pod_), name_of(*pod_), options);
    bool gone = done || done.error().code == Code::kNotFound || done.error().code == Code::kConflict;
    if (!gone) {
      if (!stop.stop_requested())
        log::warn("a pod's object cannot be deleted yet", {{"pod", key_of(*pod_)}, {"why", done.error().text()}});
      co_return Duration(1s);
    }
  }
  for (const auto& s : observed_.sandboxes) {
    std::string id = s.id;
    if (auto done = co_await node_.cri.remove_sandbox(id); !done) co_return Duration(1s);
  }
  std::string logs = pod_log_directory(node_.options, *pod_);
  std::string links = node_.options.container_log_dir;
  std::string prefix = name_of(*pod_) + "_" + namespace_of(*pod_) + "_";
  std::vector<std::string> ids;
  for (const auto& c : observed_.containers) ids.push_back(c.id);
  co_await node_.pool.run([this, logs, links, prefix, ids] {
    (void)node_.cgroups.remove_pod(uid_);  // what is still in use is collected later
    (void)fs::remove_all(logs);
    if (!links.empty())
      for (const auto& name : fs::list_dir(links).value_or(std::vector<std::string>{}))
        for (const auto& id : ids)
          if (name.starts_with(prefix) && name.ends_with("-" + id + ".log")) (void)fs::remove_file(links + "/" + name);
  });
  node_.statuses.forget(uid_);
  finished_ = true;
  co_return Duration::zero();
}

// Keeps, of every container, the newest and the one before it; of the sandboxes, the newest.
Task<void> PodWorker::remove_leftovers() {
  std::map<std::string, int> seen;
  std::vector<cri::ContainerStatus> dead;
  for (const auto& c : observed_.containers)
    if (++seen[c.name] > 2 && c.state == cri::ContainerState::kExited) dead.push_back(c);
  std::vector<std::string> sandboxes;
  for (std::size_t i = 1; i < observed_.sandboxes.size(); ++i) {
    const auto& s = observed_.sandboxes[i];
    bool holds = std::ranges::any_of(observed_.containers, [&](const auto& c) {
      return c.sandbox_id == s.id && std::ranges::find(dead, c.id, &cri::ContainerStatus::id) == dead.end();
    });
    if (!s.ready && !holds) sandboxes.push_back(s.id);
  }
  std::string logs = pod_log_directory(node_.options, *pod_);
  for (const auto& c : dead) {
    std::string id = c.id, dir = logs + "/" + c.name, prefix = std::to_string(c.attempt) + ".log";
    if (!co_await node_.cri.remove_container(id)) continue;
    messages_.erase(id);
    co_await node_.pool.run([dir, prefix] {
      for (const auto& name : fs::list_dir(dir).value_or(std::vector<std::string>{}))
        if (name.starts_with(prefix)) (void)fs::remove_file(dir + "/" + name);
    });
  }
  for (const auto& id : sandboxes) (void)co_await node_.cri.remove_sandbox(id);
}

}  // namespace lab::agent
