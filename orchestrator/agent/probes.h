// Probes: one task per probe of a running container (startup, then readiness and liveness).
//
// sync() is level-triggered: it starts the tasks of containers that run and ends those of containers that do not. The
// owner is woken whenever a result changes. One loop; tasks live in the scope given.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/io/scope.h"
#include "orchestrator/agent/cri.h"
#include "orchestrator/agent/pod.h"
#include "orchestrator/agent/runtime.h"

namespace lab::agent {

struct ProbeVerdict {
  bool ok = false;
  std::string output;  // what the event says when it failed
};
// One try of a probe or hook handler (exec, httpGet, tcpSocket, grpc, sleep).
Task<ProbeVerdict> try_handler(cri::CriClient* cri, json::Value handler, ObjectPtr pod, std::string container,
                               std::string container_id, std::string pod_ip, Duration timeout);

class Prober {
 public:
  // event(pod, container, message): an Unhealthy event.
  using EventFn = std::function<void(const ObjectPtr&, const ContainerRef&, std::string message)>;
  Prober(cri::CriClient& cri, Scope& scope, std::function<void()> changed, EventFn event);
  ~Prober();

  void sync(const ObjectPtr& pod, const PodRuntime& runtime, const std::string& pod_ip);
  void stop_all();
  bool ready(const std::string& container) const;    // no readiness probe, or its last verdict is good
  bool started(const std::string& container) const;  // no startup probe, or it has passed
  // "liveness" or "startup" when that probe has given the container up; "" otherwise.
  std::string given_up(const std::string& container_id) const;

 private:
  struct State;
  Task<void> run(std::shared_ptr<State> state, ObjectPtr pod, ContainerRef container, std::string type,
                 std::string pod_ip);

  cri::CriClient& cri_;
  Scope& scope_;
  std::function<void()> changed_;
  EventFn event_;
  std::map<std::string, std::shared_ptr<State>> containers_;  // by name
};

}  // namespace lab::agent
