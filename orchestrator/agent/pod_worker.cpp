#include "orchestrator/agent/pod_worker.h"

#include <algorithm>

#include "base/fs.h"
#include "base/log.h"
#include "orchestrator/agent/logs.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

using namespace std::chrono_literals;

PodWorker::PodWorker(NodeServices& node, ObjectPtr pod)
    : node_(node),
      pod_(std::move(pod)),
      uid_(uid_of(*pod_)),
      scope_(node.loop),
      prober_(
          node.cri, scope_, [this] { wake(); },
          [this](const ObjectPtr& p, const ContainerRef& c, std::string message) {
            node_.event(*p, "Warning", "Unhealthy", std::move(message), field_path(c));
          }),
      backoff_(node.options.backoff_initial, node.options.backoff_max) {}

void PodWorker::wake() {
  dirty_ = true;
  wake_.notify();
}

void PodWorker::refresh_volumes() {
  volumes_stale_ = true;
  if (!volumes_ready_) retries_.clear();  // it may have waited for just that object
  wake();
}

void PodWorker::try_again_now() {
  retries_.clear();
  wake();
}

void PodWorker::update(ObjectPtr pod) {
  auto before = std::exchange(pod_, std::move(pod));
  // The downward API shows these in files.
  for (const char* shown : {"labels", "annotations"})
    if (json::at(*before, "metadata", shown) != json::at(*pod_, "metadata", shown)) volumes_stale_ = true;
  // A shorter grace period while the containers are being stopped: ask the runtime again, it takes the sooner end.
  std::int64_t grace = grace_seconds(*pod_);
  if (terminating_ && is_deleted(*pod_) && grace < terminating_grace_) {
    terminating_grace_ = grace;
    for (const auto& id : being_stopped_)
      scope_.spawn("stop sooner", [this, id, grace]() -> Task<void> {
        (void)co_await node_.cri.stop_container(id, std::chrono::seconds(std::max<std::int64_t>(grace, 1)));
      });
  }
  if (is_deleted(*pod_)) starting_.request_stop();
  wake();
}

void PodWorker::set_mirror(ObjectPtr mirror) {
  mirror_ = std::move(mirror);
  if (mirror_ && !node_.statuses.last(uid_).is_null()) node_.statuses.set(mirror_, uid_, node_.statuses.last(uid_));
}

void PodWorker::remove() {
  removed_ = true;
  starting_.request_stop();
  wake();
}

const json::Value& PodWorker::status() const {
  return node_.statuses.last(uid_);
}

void PodWorker::emit(const std::string& type, const std::string& reason, const std::string& message,
                     const ContainerRef* container) {
  node_.event(mirror_ ? *mirror_ : *pod_, type, reason, message, container ? field_path(*container) : "");
}

PodFacts PodWorker::facts() const {
  PodFacts f = node_.node_facts();
  if (uses_host_network(*pod_) && observed_.ready_sandbox()) {
    f.pod_ips = f.host_ips;
  } else if (const auto* s = observed_.ready_sandbox()) {
    f.pod_ips = s->ips;
  } else {
    // Without a sandbox now, the addresses that were reported stay.
    const json::Value& last = node_.statuses.last(uid_);
    for (const auto& ip : json::list(last.is_null() ? json::at(*pod_, "status") : last, "podIPs"))
      f.pod_ips.emplace_back(json::str(ip, "ip"));
  }
  if (!f.pod_ips.empty()) f.pod_ip = f.pod_ips.front();
  return f;
}

Task<void> PodWorker::run(std::stop_token stop) {
  co_await node_.runtime.wait_listed(stop);
  while (!stop.stop_requested() && !finished_) {
    dirty_ = false;
    Duration next = co_await sync(stop);
    if (!finished_ && !dirty_ && next > 0s) co_await wake_.wait_for(next, stop);
  }
  prober_.stop_all();
  co_await scope_.close();
}

Task<Duration> PodWorker::sync(std::stop_token stop) {
  if (terminated_) co_return co_await finish(stop);
  // A pod that the runtime has never heard of needs no look at the runtime.
  bool new_here = !observed_once_ && !node_.runtime.knows(uid_);
  if (!new_here && !co_await observe()) co_return Duration(1s);
  observed_once_ = true;
  co_await read_termination_messages();

  bool final_in_api = is_terminal(*pod_) && node_.statuses.last(uid_).is_null();
  if (removed_ || is_deleted(*pod_) || final_in_api) {
    co_await terminate(stop);
    co_return Duration::zero();
  }
  co_return co_await sync_running(stop);
}

Task<bool> PodWorker::observe() {
  auto now = co_await node_.runtime.observe(uid_);
  if (!now) {
    // That the runtime is away was told once already, for all pods.
    auto level = node_.runtime.last_error().empty() ? log::Level::kWarn : log::Level::kDebug;
    log::write(level, "a pod cannot be looked at", {{"pod", key_of(*pod_)}, {"why", now.error().text()}});
    co_return false;
  }
  observed_ = std::move(*now);
  std::string ip;
  if (auto f = facts(); !f.pod_ip.empty()) ip = f.pod_ip;
  if (!terminating_) prober_.sync(pod_, observed_, ip);
  co_return true;
}

Duration PodWorker::deadline_left() const {
  std::int64_t seconds = json::num(*pod_, "spec", "activeDeadlineSeconds");
  if (seconds <= 0) return 24h;
  const auto& start = json::has(node_.statuses.last(uid_), "startTime")
                          ? json::at(node_.statuses.last(uid_), "startTime")
                          : json::at(*pod_, "status", "startTime");
  auto begun = api::parse_time(json::as_str(start));
  if (!begun) return std::chrono::seconds(seconds);
  return std::chrono::duration_cast<Duration>(*begun + std::chrono::seconds(seconds) - node_.loop.wall());
}

bool PodWorker::refuse() {
  auto os = json::str(*pod_, "spec", "os", "name");
  if (os.empty() || os == "linux") {
    // Room is asked for once, before anything of the pod stands here; static pods always have it.
    if (std::exchange(admitted_, true) || is_static(*pod_) || !observed_.empty()) return false;
    auto why = node_.refuse(*pod_);
    if (!why) return false;
    failure_reason_ = why->first;
    failure_message_ = "Pod was rejected: " + why->second;
    emit("Warning", why->first, why->second);
    return true;
  }
  failure_reason_ = "PodOSNotSupported";
  failure_message_ = "Failed to admit pod as the OS field doesn't match node OS";
  return true;
}

Task<Duration> PodWorker::sync_running(std::stop_token stop) {
  if (deadline_left() <= 0s) {
    failure_reason_ = "DeadlineExceeded";
    failure_message_ = "Pod was active on the node longer than the specified deadline";
    emit("Normal", "DeadlineExceeded", failure_message_);
  }
  if (!failure_reason_.empty() || refuse()) {
    co_await terminate(stop);
    co_return Duration::zero();
  }
  auto actions = next_actions({*pod_, observed_, [this](const std::string& c) { return prober_.started(c); },
                               [this](const std::string& id) { return prober_.given_up(id); }});
  if (actions.finished) {
    waiting_.clear();
    if (!observed_.anything_running()) report();
    co_await terminate(stop);
    co_return Duration::zero();
  }
  // What runs needs no reason why it does not.
  std::erase_if(waiting_, [&](const auto& w) {
    const auto* c = observed_.latest(w.first);
    return c && c->state == cri::ContainerState::kRunning;
  });
  retry_at_ = {};
  if (co_await resize()) co_return Duration::zero();
  bool idle = !actions.create_sandbox && actions.kill.empty() && actions.start.empty();
  bool first_report = node_.statuses.last(uid_).is_null();
  report(first_report && !idle ? Duration(400ms) : Duration::zero());

  if (!idle) {
    if (co_await apply(std::move(actions), stop)) co_return Duration::zero();  // something changed: look again
  } else {
    std::erase_if(retries_, [](const auto& r) { return !r.first.starts_with("resize "); });
    co_await remove_leftovers();
  }
  TimePoint now = node_.loop.now();
  Duration next = std::min<Duration>(deadline_left(), 10min);
  if (retry_at_ > now) next = std::min<Duration>(next, retry_at_ - now);
  if (Volumes::changes(*pod_) && volumes_ready_) {
    Duration due = volumes_checked_ + node_.options.volume_refresh_interval - now;
    if (due <= 0s || std::exchange(volumes_stale_, false)) {
      (void)co_await ensure_volumes(node_.options.volume_refresh_interval / 2);
      due = node_.options.volume_refresh_interval;
    } else if (!volumes_ready_) {
      due = node_.options.volume_refresh_interval;
    }
    next = std::min(next, due);
  } else if (Volumes::changes(*pod_) && idle && !volumes_ready_) {
    (void)co_await ensure_volumes(node_.options.volume_refresh_interval / 2);  // adopted after a restart
  }
  co_return next;
}

// True when something was done and the runtime should be looked at again.
Task<bool> PodWorker::apply(PodActions actions, std::stop_token stop) {
  bool changed = false;
  for (const auto& k : actions.kill) {
    for (const auto& c : observed_.containers)
      if (c.id == k.container_id) {
        auto status = c;
        co_await kill_container(status, k.message, grace_seconds(*pod_));
        break;
      }
    changed = true;
  }
  // Ended containers must be seen as such before they are started again (exit code, back-off).
  if (changed) co_return true;

  if (actions.create_sandbox) {
    if (too_soon("")) co_return false;
    if (auto done = co_await ensure_sandbox(stop); !done) {
      for (const auto& c : actions.start)
        if (done.error().reason != "Cancelled") waiting_.insert_or_assign(c.name, StartError{"ContainerCreating", ""});
      retry_later("", 100ms);
      co_return false;
    }
    retries_.erase("");
    changed = true;
  }
  for (const auto& c : actions.start) {
    if (stop.stop_requested() || removed_ || is_deleted(*pod_)) co_return true;
    if (const auto* last = observed_.latest(c.name); last && last->state == cri::ContainerState::kExited) {
      TimePoint ended =
          node_.loop.now() - std::chrono::duration_cast<Duration>(node_.loop.wall().time_since_epoch() -
                                                                  std::chrono::nanoseconds(last->finished_at));
      auto left = backoff_.remaining(c.name, ended, node_.loop.now());
      if (left > 0s) {
        auto delay = std::chrono::duration_cast<std::chrono::seconds>(backoff_.delay(c.name));
        std::string text = api::human_duration(delay);
        bool news = !waiting_.contains(c.name) || waiting_.at(c.name).reason != "CrashLoopBackOff";
        std::string which =
            "failed container=" + c.name + " pod=" + name_of(*pod_) + "_" + namespace_of(*pod_) + "(" + uid_ + ")";
        waiting_[c.name] = {"CrashLoopBackOff", "back-off " + text + " restarting " + which};
        if (news)
          emit("Warning", "BackOff",
               "Back-off restarting failed container " + c.name + " in pod " + name_of(*pod_) + "_" +
                   namespace_of(*pod_) + "(" + uid_ + ")",
               &c);
        retry_within(left);
        continue;
      }
      if (too_soon(c.name)) continue;
      backoff_.next(c.name, ended, node_.loop.now());
    } else if (too_soon(c.name)) {
      continue;
    }
    auto done = co_await start_container(c);
    if (done) {
      waiting_.erase(c.name);
      retries_.erase(c.name);
      changed = true;
    } else {
      waiting_[c.name] = done.error();
      retry_later(c.name, 200ms);
      if (c.kind == ContainerRef::kInit) break;
    }
  }
  report();
  co_return changed;
}

void PodWorker::retry_within(Duration d) {
  TimePoint at = node_.loop.now() + d;
  if (retry_at_ == TimePoint{} || at < retry_at_) retry_at_ = at;
}

void PodWorker::retry_later(const std::string& what, Duration first) {
  Retry& r = retries_[what];
  Duration pause = std::min<Duration>(first * (1 << std::min(r.failures++, 7)), 10s);
  r.at = node_.loop.now() + pause;
  retry_within(pause);
}

bool PodWorker::too_soon(const std::string& what) {
  auto it = retries_.find(what);
  if (it == retries_.end()) return false;
  Duration left = it->second.at - node_.loop.now();
  if (left <= 0s) return false;
  retry_within(left);
  return true;
}

void PodWorker::report(Duration delay) {
  PodFacts f = facts();
  const json::Value& before = node_.statuses.last(uid_);
  const json::Value& held = before.is_null() ? json::at(mirror_ ? *mirror_ : *pod_, "status") : before;
  StatusInputs in{.pod = *pod_,
                  .before = held,
                  .runtime = observed_,
                  .facts = f,
                  .waiting = waiting_,
                  .messages = messages_,
                  .probes_ready = [this](const std::string& c) { return prober_.ready(c); },
                  .started = [this](const std::string& c) { return prober_.started(c); },
                  .now = node_.loop.wall(),
                  .failure_reason = failure_reason_,
                  .failure_message = failure_message_,
                  .resources = [this](const ContainerRef& c, const std::string& id) -> const json::Value& {
                    return applied_resources(c, id);
                  }};
  ObjectPtr target = is_static(*pod_) ? mirror_ : pod_;
  json::Value status = make_pod_status(in);
  // A static pod without a mirror yet: kept until there is one.
  node_.statuses.set(target ? target : pod_, uid_, std::move(status), delay);
}

Task<void> PodWorker::read_termination_messages() {
  for (const auto& c : observed_.containers) {
    if (c.state != cri::ContainerState::kExited || messages_.contains(c.id)) continue;
    std::string file = pod_directory(node_.options.root_dir, uid_) + "/containers/" + c.name + "/" +
                       std::to_string(c.attempt) + ".termination-log";
    auto policy = c.annotations.find("io.kubernetes.container.terminationMessagePolicy");
    bool fall_back = policy != c.annotations.end() && policy->second == "FallbackToLogsOnError" && c.exit_code != 0;
    std::string log = pod_log_directory(node_.options, *pod_) + "/" + c.name + "/" + std::to_string(c.attempt) + ".log";
    messages_[c.id] = co_await node_.pool.run([file, log, fall_back] {
      auto text = fs::read_file(file).value_or("");
      if (text.size() > 4096) text.resize(4096);
      if (text.empty() && fall_back) text = tail_for_message(log);
      return text;
    });
  }
}

}  // namespace lab::agent
