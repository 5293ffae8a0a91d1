#include "orchestrator/agent/actions.h"

namespace lab::agent {

namespace {

using State = cri::ContainerState;

bool ended(const cri::ContainerStatus* c) {
  return c && (c->state == State::kExited || c->state == State::kUnknown);
}

bool will_restart(const json::Value& pod, const ContainerRef& c, const cri::ContainerStatus& status) {
  switch (restart_policy(pod, c)) {
    case RestartPolicy::kAlways:
      return true;
    case RestartPolicy::kOnFailure:
      return status.exit_code != 0;
    case RestartPolicy::kNever:
      return false;
  }
  return false;
}

bool hash_changed(const ContainerRef& c, const cri::ContainerStatus& status) {
  auto it = status.annotations.find("io.kubernetes.container.hash");
  return it != status.annotations.end() && it->second != container_hash(*c.spec);
}

// Why a running container must end and be made anew; "" to leave it alone.
std::string kill_reason(const ActionInputs& in, const ContainerRef& c, const cri::ContainerStatus& status) {
  if (hash_changed(c, status)) return "Container " + c.name + " definition changed, will be restarted";
  auto probe = in.given_up(status.id);
  if (!probe.empty()) return "Container " + c.name + " failed " + probe + " probe, will be restarted";
  return "";
}

bool any_regular_exists(const ActionInputs& in) {
  for (const auto& c : containers_of(in.pod))
    if (c.kind == ContainerRef::kRegular && in.runtime.latest(c.name)) return true;
  return false;
}

// True when every regular container has ended for good, or an init container has failed for good.
bool pod_finished(const ActionInputs& in) {
  bool all_done = true, any = false;
  for (const auto& c : containers_of(in.pod)) {
    const auto* status = in.runtime.latest(c.name);
    if (c.kind == ContainerRef::kInit && ended(status) && status->exit_code != 0 &&
        restart_policy(in.pod) == RestartPolicy::kNever)
      return true;
    if (c.kind != ContainerRef::kRegular) continue;
    any = true;
    if (!ended(status) || will_restart(in.pod, c, *status)) all_done = false;
  }
  return any && all_done;
}

// A container that does not run: start it, unless it has ended for good. True when it is up or will be now.
void start_or_kill(const ActionInputs& in, const ContainerRef& c, PodActions& out) {
  const auto* status = in.runtime.latest(c.name);
  if (!status || status->state == State::kCreated) {
    out.start.push_back(c);
  } else if (status->state == State::kRunning) {
    auto why = kill_reason(in, c, *status);
    if (why.empty()) return;
    bool restart = restart_policy(in.pod, c) != RestartPolicy::kNever;
    out.kill.push_back({status->id, c, why, restart});
    if (restart) out.start.push_back(c);
  } else if (will_restart(in.pod, c, *status)) {
    out.start.push_back(c);
  }
}

}  // namespace

PodActions next_actions(const ActionInputs& in) {
  PodActions out;
  if (pod_finished(in)) {
    out.finished = true;
    return out;
  }
  out.create_sandbox = !in.runtime.ready_sandbox();

  // With a new sandbox everything begins anew, init containers first: what ran in the old one is gone.
  bool fresh = out.create_sandbox;
  bool initialized = !fresh && any_regular_exists(in);
  bool blocked = false;  // an init container has to come first
  for (const auto& c : containers_of(in.pod)) {
    const auto* status = in.runtime.latest(c.name);
    bool in_this_sandbox = status && in.runtime.ready_sandbox() && status->sandbox_id == in.runtime.ready_sandbox()->id;
    switch (c.kind) {
      case ContainerRef::kInit: {
        if (blocked || initialized) break;
        if (in_this_sandbox && status->state == State::kExited && status->exit_code == 0) break;
        blocked = true;
        if (in_this_sandbox && status->state == State::kRunning) {
          if (hash_changed(c, *status)) start_or_kill(in, c, out);
          break;
        }
        if (in_this_sandbox && ended(status) && !will_restart(in.pod, c, *status)) break;
        out.start.push_back(c);
        break;
      }
      case ContainerRef::kSidecar: {
        if (blocked) break;
        if (!in_this_sandbox) {
          out.start.push_back(c);
          if (!initialized) blocked = true;  // the next one waits until this one has started
          break;
        }
        start_or_kill(in, c, out);
        bool up = status->state == State::kRunning && in.started(c.name);
        if (!initialized && !up) blocked = true;
        break;
      }
      case ContainerRef::kRegular: {
        if (blocked) break;
        if (!in_this_sandbox && status && ended(status) && !will_restart(in.pod, c, *status)) break;
        if (!in_this_sandbox)
          out.start.push_back(c);
        else
          start_or_kill(in, c, out);
        break;
      }
      case ContainerRef::kEphemeral:
        if (!fresh && !status) out.start.push_back(c);
        break;
    }
  }
  return out;
}

}  // namespace lab::agent
