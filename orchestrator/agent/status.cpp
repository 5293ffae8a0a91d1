#include "orchestrator/agent/status.h"

#include "orchestrator/agent/resources.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

namespace {

constexpr const char* kRuntimePrefix = "containerd://";

json::Value terminated(const cri::ContainerStatus& c, const StatusInputs& in) {
  json::Value t;
  json::set(t, c.exit_code, "exitCode");
  std::string reason = c.reason;
  if (reason.empty()) reason = c.exit_code == 0 ? "Completed" : "Error";
  json::set(t, reason, "reason");
  std::string message = c.message;
  if (auto it = in.messages.find(c.id); it != in.messages.end() && !it->second.empty()) message = it->second;
  if (!message.empty()) json::set(t, message, "message");
  // A container that was never started has no such time.
  json::set(t, c.started_at > 0 ? json::Value(runtime_time(c.started_at)) : json::Value(nullptr), "startedAt");
  json::set(t, c.finished_at > 0 ? json::Value(runtime_time(c.finished_at)) : json::Value(nullptr), "finishedAt");
  json::set(t, kRuntimePrefix + c.id, "containerID");
  json::Value out;
  json::set(out, std::move(t), "terminated");
  return out;
}

json::Value waiting(const std::string& reason, const std::string& message = {}) {
  json::Value out;
  json::set(out, reason, "waiting", "reason");
  if (!message.empty()) json::set(out, message, "waiting", "message");
  return out;
}

const json::Value& find_status(const json::Value& status, std::string_view list, const std::string& name) {
  for (const auto& s : json::list(status, list))
    if (json::str(s, "name") == name) return s;
  return json::null_value();
}

std::string_view list_of(ContainerRef::Kind kind) {
  return kind == ContainerRef::kRegular     ? "containerStatuses"
         : kind == ContainerRef::kEphemeral ? "ephemeralContainerStatuses"
                                            : "initContainerStatuses";
}

void add_mounts(const json::Value& spec, json::Value& out) {
  json::Array mounts;
  for (const auto& m : json::list(spec, "volumeMounts")) {
    json::Value one;
    json::set(one, json::at(m, "name"), "name");
    json::set(one, json::at(m, "mountPath"), "mountPath");
    if (json::flag(m, "readOnly")) {
      json::set(one, true, "readOnly");
      json::set(one, "Disabled", "recursiveReadOnly");
    }
    mounts.push_back(std::move(one));
  }
  if (!mounts.empty()) json::set(out, std::move(mounts), "volumeMounts");
}

// A container that the runtime does not hold: not started yet, or lost with its sandbox.
json::Value status_without_container(const StatusInputs& in, const ContainerRef& c, bool has_init) {
  const auto& old = find_status(in.before, list_of(c.kind), c.name);
  json::Value out;
  json::set(out, c.name, "name");
  auto why = in.waiting.find(c.name);
  json::Value state;
  if (why != in.waiting.end())
    state = waiting(why->second.reason, why->second.message);
  else if (json::has(old, "state", "terminated"))
    state = json::at(old, "state");  // its remains were collected; what it came to stays true
  else if (json::has(old, "state", "running") && (is_deleted(in.pod) || !in.failure_reason.empty())) {
    json::Value t;
    json::set(t, 137, "exitCode");
    json::set(t, "ContainerStatusUnknown", "reason");
    json::set(t, "The container could not be located when the pod was terminated", "message");
    json::set(t, nullptr, "startedAt");
    json::set(t, nullptr, "finishedAt");
    json::set(state, std::move(t), "terminated");
  } else {
    state = waiting(has_init && c.kind == ContainerRef::kRegular ? "PodInitializing" : "ContainerCreating");
    if (c.kind == ContainerRef::kInit || c.kind == ContainerRef::kSidecar) state = waiting("PodInitializing");
    if (!in.runtime.ready_sandbox()) state = waiting(has_init ? "PodInitializing" : "ContainerCreating");
  }
  json::set(out, std::move(state), "state");
  json::set(out, json::has(old, "lastState") ? json::at(old, "lastState") : json::Value(json::Object()), "lastState");
  json::set(out, false, "ready");
  json::set(out, json::num(old, "restartCount"), "restartCount");
  json::set(out, json::at(*c.spec, "image"), "image");
  json::set(out, json::has(old, "imageID") ? json::at(old, "imageID") : json::Value(""), "imageID");
  if (json::has(old, "containerID")) json::set(out, json::at(old, "containerID"), "containerID");
  json::set(out, false, "started");
  add_mounts(*c.spec, out);
  return out;
}

json::Value container_status(const StatusInputs& in, const ContainerRef& c, bool has_init) {
  const auto* latest = in.runtime.latest(c.name);
  if (!latest) return status_without_container(in, c, has_init);
  json::Value out;
  json::set(out, c.name, "name");
  const auto* previous = in.runtime.previous(c.name);
  json::Value last = json::Object();
  if (previous && previous->state == cri::ContainerState::kExited) last = terminated(*previous, in);
  bool ready = false, started = false;
  json::Value state;
  switch (latest->state) {
    case cri::ContainerState::kRunning:
      json::set(state, runtime_time(latest->started_at), "running", "startedAt");
      started = in.started(c.name);
      ready = started && in.probes_ready(c.name);
      break;
    case cri::ContainerState::kCreated:
      state = waiting("ContainerCreating");
      break;
    case cri::ContainerState::kExited:
    case cri::ContainerState::kUnknown:
      state = terminated(*latest, in);
      if (c.kind == ContainerRef::kInit) ready = latest->exit_code == 0;
      break;
  }
  auto why = in.waiting.find(c.name);
  if (why != in.waiting.end() && latest->state != cri::ContainerState::kRunning) {
    last = std::move(state);
    if (!json::has(last, "terminated")) last = json::Object();
    state = waiting(why->second.reason, why->second.message);
    ready = false;
  }
  json::set(out, std::move(state), "state");
  json::set(out, std::move(last), "lastState");
  json::set(out, ready, "ready");
  json::set(out, static_cast<std::int64_t>(latest->attempt), "restartCount");
  json::set(out, json::at(*c.spec, "image"), "image");
  json::set(out, latest->image_ref, "imageID");
  json::set(out, kRuntimePrefix + latest->id, "containerID");
  json::set(out, started, "started");
  if (in.resources && latest->state == cri::ContainerState::kRunning && c.kind != ContainerRef::kEphemeral)
    if (const auto& has = in.resources(c, latest->id); !json::as_object(has).empty()) {
      json::set(out, has, "resources");
      if (const auto& asked = json::at(has, "requests"); !asked.is_null()) json::set(out, asked, "allocatedResources");
    }
  add_mounts(*c.spec, out);
  return out;
}

bool is_sidecar(const json::Value& pod, std::string_view name) {
  auto c = find_container(pod, name);
  return c && c->kind == ContainerRef::kSidecar;
}

struct Condition {
  std::string type;
  bool status = false;
  std::string reason, message;
};

void put_condition(const StatusInputs& in, json::Array& out, const Condition& c) {
  json::Value v;
  json::set(v, c.type, "type");
  json::set(v, c.status ? "True" : "False", "status");
  json::set(v, nullptr, "lastProbeTime");
  std::string since = api::format_time(in.now);
  for (const auto* known : {&in.before, &json::at(in.pod, "status")})
    for (const auto& old : json::list(*known, "conditions"))
      if (json::str(old, "type") == c.type && json::str(old, "status") == json::str(v, "status") &&
          json::has(old, "lastTransitionTime")) {
        since = std::string(json::str(old, "lastTransitionTime"));
        break;
      }
  json::set(v, since, "lastTransitionTime");
  if (!c.reason.empty()) json::set(v, c.reason, "reason");
  if (!c.message.empty()) json::set(v, c.message, "message");
  if (auto generation = json::num(in.pod, "metadata", "generation"); generation > 0)
    json::set(v, generation, "observedGeneration");
  out.push_back(std::move(v));
}

std::string names(const std::vector<std::string>& list) {
  std::string out = "[";
  for (std::size_t i = 0; i < list.size(); ++i) out += (i ? " " : "") + list[i];
  return out + "]";
}

Condition initialized(const json::Value& pod, const json::Value& status, const std::string& phase) {
  Condition c{"Initialized"};
  std::vector<std::string> incomplete;
  for (const auto& ref : containers_of(pod)) {
    if (ref.kind != ContainerRef::kInit && ref.kind != ContainerRef::kSidecar) continue;
    const auto& s = find_status(status, "initContainerStatuses", ref.name);
    bool done = ref.kind == ContainerRef::kSidecar ? json::flag(s, "started") : json::flag(s, "ready");
    if (!done) incomplete.push_back(ref.name);
  }
  if (phase == "Succeeded") return {"Initialized", true, "PodCompleted", ""};
  bool past = false;  // a regular container that ran proves that initialisation ended
  for (const auto& s : json::list(status, "containerStatuses"))
    if (json::has(s, "state", "running") || json::has(s, "state", "terminated") || json::num(s, "restartCount") > 0)
      past = true;
  c.status = incomplete.empty() || past;
  if (!c.status) {
    c.reason = "ContainersNotInitialized";
    c.message = "containers with incomplete status: " + names(incomplete);
  }
  return c;
}

Condition containers_ready(const json::Value& pod, const json::Value& status, const std::string& phase) {
  Condition c{"ContainersReady"};
  if (phase == "Succeeded") return {"ContainersReady", false, "PodCompleted", ""};
  if (phase == "Failed") return {"ContainersReady", false, "PodFailed", ""};
  std::vector<std::string> unready;
  for (const auto& ref : containers_of(pod)) {
    if (!ref.long_lived()) continue;
    if (!json::flag(find_status(status, list_of(ref.kind), ref.name), "ready")) unready.push_back(ref.name);
  }
  c.status = unready.empty();
  if (!c.status) {
    c.reason = "ContainersNotReady";
    c.message = "containers with unready status: " + names(unready);
  }
  return c;
}

Condition pod_ready(const json::Value& pod, const Condition& containers) {
  Condition c = containers;
  c.type = "Ready";
  if (!c.status) return c;
  std::string missing;
  for (const auto& gate : json::list(pod, "spec", "readinessGates")) {
    auto type = json::str(gate, "conditionType");
    bool met = false, there = false;
    for (const auto& have : json::list(pod, "status", "conditions"))
      if (json::str(have, "type") == type) {
        there = true;
        met = json::str(have, "status") == "True";
      }
    if (!met)
      missing += (missing.empty() ? "" : ", ") +
                 std::string(there ? "the status of pod readiness gate \""
                                   : "corresponding condition of pod readiness gate \"") +
                 std::string(type) + (there ? "\" is not \"True\", but False" : "\" does not exist.");
  }
  if (!missing.empty()) return {"Ready", false, "ReadinessGatesNotReady", missing};
  return c;
}

}  // namespace

std::string runtime_time(std::int64_t nanos) {
  return api::format_time(WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds(nanos))));
}

std::string phase_of(const json::Value& pod, const json::Value& status) {
  bool never = restart_policy(pod) == RestartPolicy::kNever, always = restart_policy(pod) == RestartPolicy::kAlways;
  int init_pending = 0, init_failed = 0;
  for (const auto& s : json::list(status, "initContainerStatuses")) {
    const auto& t = json::has(s, "state", "terminated") ? json::at(s, "state", "terminated")
                                                        : json::at(s, "lastState", "terminated");
    if (is_sidecar(pod, json::str(s, "name"))) {
      if (!json::flag(s, "started") && t.is_null()) ++init_pending;
    } else if (json::has(s, "state", "running") || t.is_null()) {
      ++init_pending;
    } else if (json::num(t, "exitCode") != 0) {
      never ? ++init_failed : ++init_pending;
    } else if (!json::has(s, "state", "terminated")) {
      ++init_pending;
    }
  }
  int waiting = 0, running = 0, stopped = 0, succeeded = 0;
  for (const auto& ref : containers_of(pod)) {
    if (ref.kind != ContainerRef::kRegular) continue;
    const auto& s = find_status(status, "containerStatuses", ref.name);
    if (json::has(s, "state", "running")) {
      ++running;
    } else if (json::has(s, "state", "terminated")) {
      ++stopped;
      if (json::num(s, "state", "terminated", "exitCode") == 0) ++succeeded;
    } else if (json::has(s, "lastState", "terminated")) {
      ++stopped;
    } else {
      ++waiting;
    }
  }
  if (init_failed > 0) return "Failed";
  if (init_pending > 0 && running == 0 && stopped == 0) return "Pending";
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped > 0) {
    if (always) return "Running";
    if (stopped == succeeded) return "Succeeded";
    return never ? "Failed" : "Running";
  }
  return "Pending";
}

json::Value make_pod_status(const StatusInputs& in) {
  json::Value out;
  bool has_init = !json::list(in.pod, "spec", "initContainers").empty();
  std::map<std::string_view, json::Array> lists;
  for (const auto& c : containers_of(in.pod)) {
    bool pending_ephemeral = c.kind == ContainerRef::kEphemeral && !in.runtime.latest(c.name) &&
                             !in.waiting.contains(c.name) && is_deleted(in.pod);
    if (!pending_ephemeral) lists[list_of(c.kind)].push_back(container_status(in, c, has_init));
  }
  for (auto& [name, list] : lists) json::set(out, std::move(list), name);

  std::string phase = in.failure_reason.empty() ? phase_of(in.pod, out) : "Failed";
  // A phase that is final stays so, and does not come before the last container has stopped.
  auto was = json::str(in.before, "phase");
  if (was == "Succeeded" || was == "Failed") phase = std::string(was);
  bool final_phase = phase == "Succeeded" || phase == "Failed";
  if (final_phase && in.runtime.anything_running()) phase = was.empty() ? "Pending" : std::string(was);
  json::set(out, phase, "phase");

  std::string reason = in.failure_reason.empty() ? std::string(json::str(in.before, "reason")) : in.failure_reason;
  std::string message = in.failure_message.empty() ? std::string(json::str(in.before, "message")) : in.failure_message;
  if (phase == "Failed" && !reason.empty()) json::set(out, reason, "reason");
  if (phase == "Failed" && !message.empty()) json::set(out, message, "message");

  json::Array conditions;
  bool network = in.runtime.ready_sandbox() && (uses_host_network(in.pod) || !in.runtime.sandbox()->ips.empty());
  put_condition(in, conditions, {"PodReadyToStartContainers", network});
  put_condition(in, conditions, initialized(in.pod, out, phase));
  Condition containers = containers_ready(in.pod, out, phase);
  put_condition(in, conditions, pod_ready(in.pod, containers));
  put_condition(in, conditions, containers);
  put_condition(in, conditions, {"PodScheduled", true});
  json::set(out, std::move(conditions), "conditions");

  if (!in.facts.host_ip.empty()) {
    json::set(out, in.facts.host_ip, "hostIP");
    json::Array ips;
    for (const auto& ip : in.facts.host_ips) ips.emplace_back(json::Object{{"ip", ip}});
    json::set(out, std::move(ips), "hostIPs");
  }
  if (!in.facts.pod_ip.empty()) {
    json::set(out, in.facts.pod_ip, "podIP");
    json::Array ips;
    for (const auto& ip : in.facts.pod_ips) ips.emplace_back(json::Object{{"ip", ip}});
    json::set(out, std::move(ips), "podIPs");
  }
  const auto& started =
      json::has(in.before, "startTime") ? json::at(in.before, "startTime") : json::at(in.pod, "status", "startTime");
  json::set(out, started.is_null() ? json::Value(api::format_time(in.now)) : started, "startTime");
  json::set(out, std::string(name_of(qos_of(in.pod))), "qosClass");
  if (auto generation = json::num(in.pod, "metadata", "generation"); generation > 0)
    json::set(out, generation, "observedGeneration");
  return out;
}

namespace {

// Conditions are merged by type and field by field on the server: what a condition has no longer must be named.
json::Value conditions_patch(const json::Value& before, const json::Value& now) {
  json::Array out;
  for (const auto& condition : json::as_array(now)) {
    json::Value next = condition;
    for (const auto& old : json::as_array(before)) {
      if (json::str(old, "type") != json::str(condition, "type")) continue;
      for (std::string_view gone : {"reason", "message"})
        if (json::has(old, gone) && !json::has(condition, gone)) json::set(next, nullptr, gone);
    }
    out.push_back(std::move(next));
  }
  return out;
}

}  // namespace

json::Value status_patch(const json::Value& before, const json::Value& now) {
  json::Value patch;
  for (const auto& [key, value] : json::as_object(now)) {
    const auto& old = json::at(before, key);
    if (old == value) continue;
    if (key == "podIPs" && old.is_array() && !old.get_array().empty()) {
      // Merged by address on the server: say that this is the whole list.
      json::Array list = value.is_array() ? value.get_array() : json::Array();
      list.insert(list.begin(), json::Value(json::Object{{"$patch", "replace"}}));
      json::set(patch, std::move(list), key);
      continue;
    }
    json::set(patch, key == "conditions" ? conditions_patch(old, value) : value, key);
  }
  for (std::string_view gone : {"reason", "message", "podIP", "podIPs"})
    if (json::has(before, gone) && !json::has(now, gone)) json::set(patch, nullptr, gone);
  return patch;
}

}  // namespace lab::agent
