// The pod's row: READY, STATUS and RESTARTS are computed from all container statuses, in kubectl's words.
#include <algorithm>

#include "orchestrator/api/printers.h"

namespace lab::api::printers {
namespace {

using json::Value;

struct Restarts {
  std::int64_t count = 0;
  std::string last;  // finishedAt of the last restart; RFC 3339 in UTC compares as text
  void take(const Value& status) {
    count += json::num(status, "restartCount");
    std::string_view finished = json::str(status, "lastState", "terminated", "finishedAt");
    if (finished > last) last = finished;
  }
};

bool condition_true(const Value& pod, std::string_view type) {
  for (const auto& c : json::list(pod, "status", "conditions"))
    if (json::str(c, "type") == type) return json::str(c, "status") == "True";
  return false;
}

// A sidecar: an init container that is restarted for as long as the pod runs.
bool is_sidecar(const Value& pod, std::string_view name) {
  for (const auto& c : json::list(pod, "spec", "initContainers"))
    if (json::str(c, "name") == name) return json::str(c, "restartPolicy") == "Always";
  return false;
}

std::string end_of(const Value& terminated) {
  std::string_view reason = json::str(terminated, "reason");
  if (!reason.empty()) return std::string(reason);
  if (auto signal = json::num(terminated, "signal")) return "Signal:" + std::to_string(signal);
  return "ExitCode:" + std::to_string(json::num(terminated, "exitCode"));
}

struct Summary {
  std::string status;
  std::int64_t ready = 0, total = 0;
  Restarts restarts;
};

// True while an init container has not done its part; then the status says which.
bool look_at_init(const Value& pod, Summary& s, Restarts& sidecars) {
  const auto& statuses = json::list(pod, "status", "initContainerStatuses");
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    const Value& c = statuses[i];
    s.restarts.take(c);
    bool sidecar = is_sidecar(pod, json::str(c, "name"));
    if (sidecar) sidecars.take(c);
    const Value& terminated = json::at(c, "state", "terminated");
    std::string_view waiting = json::str(c, "state", "waiting", "reason");
    if (!terminated.is_null() && json::num(terminated, "exitCode") == 0) continue;
    if (sidecar && json::flag(c, "started")) {
      if (json::flag(c, "ready")) ++s.ready;
      continue;
    }
    if (!terminated.is_null())
      s.status = "Init:" + end_of(terminated);
    else if (!waiting.empty() && waiting != "PodInitializing")
      s.status = "Init:" + std::string(waiting);
    else
      s.status = "Init:" + std::to_string(i) + "/" + std::to_string(json::list(pod, "spec", "initContainers").size());
    return true;
  }
  return false;
}

void look_at_containers(const Value& pod, Summary& s) {
  bool running = false;
  const auto& statuses = json::list(pod, "status", "containerStatuses");
  for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
    s.restarts.take(*it);
    std::string_view waiting = json::str(*it, "state", "waiting", "reason");
    const Value& terminated = json::at(*it, "state", "terminated");
    if (!waiting.empty()) {
      s.status = waiting;
    } else if (!terminated.is_null()) {
      s.status = end_of(terminated);
    } else if (json::flag(*it, "ready") && json::has(*it, "state", "running")) {
      running = true;
      ++s.ready;
    }
  }
  if (s.status == "Completed" && running) s.status = condition_true(pod, "Ready") ? "Running" : "NotReady";
}

Summary summarize(const Value& pod) {
  Summary s;
  std::string_view phase = json::str(pod, "status", "phase"), reason = json::str(pod, "status", "reason");
  s.status = reason.empty() ? phase : reason;
  for (const auto& c : json::list(pod, "status", "conditions"))
    if (json::str(c, "type") == "PodScheduled" && json::str(c, "reason") == "SchedulingGated")
      s.status = "SchedulingGated";
  s.total = static_cast<std::int64_t>(json::list(pod, "spec", "containers").size());
  for (const auto& c : json::list(pod, "spec", "initContainers"))
    if (json::str(c, "restartPolicy") == "Always") ++s.total;
  Restarts sidecars;
  bool initializing = look_at_init(pod, s, sidecars);
  if (!initializing || condition_true(pod, "Initialized")) {
    s.restarts = sidecars;
    look_at_containers(pod, s);
  }
  if (json::has(pod, "metadata", "deletionTimestamp")) {
    if (reason == "NodeLost")
      s.status = "Unknown";
    else if (phase != "Succeeded" && phase != "Failed")
      s.status = "Terminating";
  }
  return s;
}

std::string readiness_gates(const Value& pod) {
  const auto& gates = json::list(pod, "spec", "readinessGates");
  if (gates.empty()) return "<none>";
  auto met =
      std::ranges::count_if(gates, [&](const Value& g) { return condition_true(pod, json::str(g, "conditionType")); });
  return std::to_string(met) + "/" + std::to_string(gates.size());
}

}  // namespace

json::Array pod_cells(const Value& pod, WallTime now) {
  Summary s = summarize(pod);
  std::string restarts = std::to_string(s.restarts.count);
  if (s.restarts.count > 0 && !s.restarts.last.empty()) restarts += " (" + since(s.restarts.last, now) + " ago)";
  const auto& ips = json::list(pod, "status", "podIPs");
  std::string_view ip = ips.empty() ? json::str(pod, "status", "podIP") : json::str(ips[0], "ip");
  json::Array cells;
  cells.emplace_back(std::to_string(s.ready) + "/" + std::to_string(s.total));
  cells.emplace_back(s.status);
  cells.emplace_back(restarts);
  cells.emplace_back(age(pod, now));
  cells.emplace_back(or_none(ip));
  cells.emplace_back(or_none(json::str(pod, "spec", "nodeName")));
  cells.emplace_back(or_none(json::str(pod, "status", "nominatedNodeName")));
  cells.emplace_back(readiness_gates(pod));
  return cells;
}

}  // namespace lab::api::printers
