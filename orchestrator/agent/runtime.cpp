#include "orchestrator/agent/runtime.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "orchestrator/agent/pod.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

std::string label(const cri::Labels& labels, const char* key) {
  auto it = labels.find(key);
  return it == labels.end() ? "" : it->second;
}

}  // namespace

const cri::SandboxStatus* PodRuntime::ready_sandbox() const {
  return !sandboxes.empty() && sandboxes.front().ready ? &sandboxes.front() : nullptr;
}
const cri::ContainerStatus* PodRuntime::latest(const std::string& name) const {
  for (const auto& c : containers)
    if (c.name == name) return &c;
  return nullptr;
}
const cri::ContainerStatus* PodRuntime::previous(const std::string& name) const {
  bool first = true;
  for (const auto& c : containers) {
    if (c.name != name) continue;
    if (!first) return &c;
    first = false;
  }
  return nullptr;
}
bool PodRuntime::anything_running() const {
  return std::ranges::any_of(containers, [](const auto& c) { return c.state == cri::ContainerState::kRunning; });
}

Task<Result<PodRuntime>> Runtime::observe(std::string uid) {
  cri::Labels labels{{kPodUidLabel, uid}};
  LAB_CO_TRY(auto sandboxes, co_await cri_.list_sandboxes(labels));
  LAB_CO_TRY(auto containers, co_await cri_.list_containers(labels));
  PodRuntime out;
  for (auto& s : sandboxes) {
    auto known = sandboxes_.find(s.id);
    if (known != sandboxes_.end() && known->second.ready == s.ready) {
      out.sandboxes.push_back(known->second);
      continue;
    }
    auto status = co_await cri_.sandbox_status(s.id);
    if (!status && status.error().code == Code::kNotFound) continue;
    if (!status) co_return std::unexpected(std::move(status).error());
    sandboxes_[s.id] = *status;
    out.sandboxes.push_back(std::move(*status));
  }
  for (auto& c : containers) {
    if (auto known = ended_.find(c.id); known != ended_.end()) {
      out.containers.push_back(known->second);
      continue;
    }
    auto status = co_await cri_.container_status(c.id);
    if (!status && status.error().code == Code::kNotFound) continue;
    if (!status) co_return std::unexpected(std::move(status).error());
    status->sandbox_id = c.sandbox_id;
    if (status->state == cri::ContainerState::kExited) ended_[c.id] = *status;
    out.containers.push_back(std::move(*status));
  }
  auto newest_first = [](const auto& a, const auto& b) { return a.created_at > b.created_at; };
  std::ranges::sort(out.sandboxes, newest_first);
  std::ranges::sort(out.containers, newest_first);
  co_return out;
}

std::vector<KnownPod> Runtime::known_pods() const {
  std::vector<KnownPod> out;
  for (const auto& [uid, entry] : pods_) out.push_back({uid, entry.ns, entry.name});
  return out;
}

Task<Result<void>> Runtime::relist(std::function<void(const std::string&)>& on_change) {
  LAB_CO_TRY(auto sandboxes, co_await cri_.list_sandboxes());
  LAB_CO_TRY(auto containers, co_await cri_.list_containers());
  std::map<std::string, Entry> now;
  std::set<std::string> ids;
  auto put = [&](const cri::Labels& labels, const std::string& id, int state) {
    auto uid = label(labels, kPodUidLabel);
    ids.insert(id);
    if (uid.empty()) return;
    auto& entry = now[uid];
    entry.ns = label(labels, kPodNamespaceLabel);
    entry.name = label(labels, kPodNameLabel);
    entry.states[id] = state;
  };
  for (const auto& s : sandboxes) put(s.labels, s.id, s.ready ? 1 : 0);
  for (const auto& c : containers) put(c.labels, c.id, 10 + static_cast<int>(c.state));
  std::erase_if(ended_, [&](const auto& e) { return !ids.contains(e.first); });
  std::erase_if(sandboxes_, [&](const auto& e) { return !ids.contains(e.first); });

  std::vector<std::string> changed;
  for (const auto& [uid, entry] : now) {
    auto before = pods_.find(uid);
    if (before == pods_.end() || before->second.states != entry.states) changed.push_back(uid);
  }
  for (const auto& [uid, entry] : pods_)
    if (!now.contains(uid)) changed.push_back(uid);
  pods_ = std::move(now);
  for (const auto& uid : changed) on_change(uid);
  co_return Result<void>{};
}

Task<void> Runtime::follow_events(std::stop_token stop) {
  Loop& loop = *Loop::current();
  while (!stop.stop_requested()) {
    have_events_ = true;  // until the stream ends
    auto ended = co_await cri_.watch_events([this, &loop] { loop.post([this] { look_soon(); }); }, stop);
    have_events_ = false;
    if (!ended && ended.error().code == Code::kMethodNotAllowed) co_return;  // not containerd: the timer serves
    look_soon();
    co_await sleep_for(1s, stop);
  }
}

Task<void> Runtime::relist_loop(std::function<void(const std::string&)> on_change, std::stop_token stop) {
  Scope events(*Loop::current());
  events.spawn("runtime events", follow_events(events.token()));
  // containerd tells of an end before its CRI service lists it, so several looks follow an event.
  constexpr Duration kAfterEvent[] = {20ms, 100ms, 500ms, 2s};
  std::size_t looks = std::size(kAfterEvent);
  while (!stop.stop_requested()) {
    if (woken_) looks = 0;
    woken_ = false;
    auto done = co_await relist(on_change);
    if (done) {
      if (!last_error_.empty()) {
        log::info("the container runtime answers again");
        last_error_.clear();
        health_.notify();
      }
      last_listed_ = Loop::current()->now();
      if (!listed_once_) {
        listed_once_ = true;
        listed_.notify();
      }
    } else if (last_error_ != done.error().text() && !stop.stop_requested()) {
      if (last_error_.empty()) health_.notify();
      last_error_ = done.error().text();
      log::warn("the container runtime cannot be listed", {{"why", last_error_}});
    }
    if (woken_) {
      co_await sleep_for(5ms, stop);  // several events of one cause become one look
      continue;
    }
    bool soon = looks < std::size(kAfterEvent);
    co_await wake_.wait_for(!done          ? Duration(200ms)
                            : soon         ? kAfterEvent[looks++]
                            : have_events_ ? Duration(10s)
                                           : Duration(1s),
                            stop);
  }
  co_await events.close();
}

Task<bool> Runtime::wait_listed(std::stop_token stop) {
  while (!listed_once_) {
    if (stop.stop_requested()) co_return false;
    co_await listed_.wait(stop);
  }
  co_return true;
}

}  // namespace lab::agent
