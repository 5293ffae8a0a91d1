// PodWorker: one coroutine that brings one pod from what the runtime holds to what its spec asks for, and reports it.
//
// Life: running (sandbox, init containers, containers; restarts with back-off) -> terminating (deletion, the deadline,
// completion, removal of its manifest) -> terminated -> finished (volumes, cgroups, sandbox and the API object gone).
// Every step is level-triggered: the worker may be killed at any point and a new one goes on from the runtime's state.
// update(), remove() and wake() only set the goal and wake the coroutine. One loop.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/io/scope.h"
#include "orchestrator/agent/actions.h"
#include "orchestrator/agent/backoff.h"
#include "orchestrator/agent/cgroups.h"
#include "orchestrator/agent/images.h"
#include "orchestrator/agent/probes.h"
#include "orchestrator/agent/status.h"
#include "orchestrator/agent/status_manager.h"

namespace lab::agent {

// What all workers of a node share. Everything outlives the workers.
struct NodeServices {
  const AgentOptions& options;
  Loop& loop;
  cri::CriClient& cri;
  Runtime& runtime;
  Cgroups& cgroups;
  Volumes& volumes;
  ObjectFetcher& objects;
  Images& images;
  StatusManager& statuses;
  Pool& pool;
  client::Client* api;  // null: static pods only
  std::function<void(const json::Value& pod, std::string type, std::string reason, std::string message,
                     std::string field_path)>
      event;
  std::function<Variables(const std::string& ns, bool links)> service_environment;
  std::function<PodFacts()> node_facts;  // without the pod's own addresses
  // Why this node has no room for the pod: reason and message; empty: it has.
  std::function<std::optional<std::pair<std::string, std::string>>(const json::Value& pod)> refuse;
  std::int64_t memory_capacity = 0;
};

class PodWorker {
 public:
  PodWorker(NodeServices& node, ObjectPtr pod);

  Task<void> run(std::stop_token stop);  // until the pod is finished or `stop`

  void update(ObjectPtr pod);
  void set_mirror(ObjectPtr mirror);  // the API's object of a static pod; null when it is gone
  void remove();                      // its source does not name it any more
  void wake();
  void refresh_volumes();  // what their files are made of has changed
  void try_again_now();    // what failed may work now: the pod network has come up

  const ObjectPtr& pod() const { return pod_; }
  const PodRuntime& runtime() const { return observed_; }
  bool observed_once() const { return observed_once_ || finished_; }  // runtime() says what there is
  bool finished() const { return finished_; }
  bool terminated() const { return terminated_; }
  const json::Value& status() const;

 private:
  // pod_worker.cpp: the loop and its decisions
  Task<Duration> sync(std::stop_token stop);
  Task<Duration> sync_running(std::stop_token stop);
  Task<bool> observe();
  Task<bool> apply(PodActions actions, std::stop_token stop);
  Task<void> read_termination_messages();
  void report(Duration delay = Duration::zero());
  Duration deadline_left() const;
  void retry_later(const std::string& what, Duration first);  // doubles with each failure, at most 10 s
  void retry_within(Duration d);
  bool too_soon(const std::string& what);
  bool refuse();  // a pod that this node cannot run: it has failed
  PodFacts facts() const;
  void emit(const std::string& type, const std::string& reason, const std::string& message,
            const ContainerRef* container = nullptr);

  // pod_start.cpp
  Task<StartResult<>> ensure_sandbox(std::stop_token stop);
  Task<Result<std::string>> runtime_handler();
  Task<StartResult<>> ensure_volumes(Duration max_age);
  Task<StartResult<>> start_container(ContainerRef container);
  Task<StartResult<>> create_and_start(ContainerRef container, std::uint32_t attempt);
  Task<StartResult<Variables>> environment_of(ContainerRef container);
  Task<StartResult<>> prepare_files(std::string container, std::uint32_t attempt, std::vector<SubPathMount> sub_paths,
                                    std::vector<std::string> sub_targets);
  std::uint32_t next_attempt(const std::string& name) const;

  // pod_resize.cpp
  Task<bool> resize();
  const json::Value& applied_resources(const ContainerRef& container, const std::string& id);

  // pod_stop.cpp
  Task<void> terminate(std::stop_token stop);
  Task<void> kill_container(cri::ContainerStatus container, std::string message, std::int64_t grace);
  Task<bool> kill_one(cri::ContainerStatus container, std::int64_t grace);
  Task<void> kill_all(std::int64_t grace);
  Task<void> stop_sandboxes();
  Task<void> remove_leftovers();  // dead containers beyond the last ones, old sandboxes
  Task<Duration> finish(std::stop_token stop);

  NodeServices& node_;
  ObjectPtr pod_, mirror_;
  const std::string uid_;
  Scope scope_;
  Prober prober_;
  PodRuntime observed_;
  Event wake_;
  bool dirty_ = true, removed_ = false, terminated_ = false, finished_ = false, observed_once_ = false;
  bool terminating_ = false, admitted_ = false;
  std::int64_t terminating_grace_ = 0;
  std::set<std::string> being_stopped_;
  Backoff backoff_;
  std::map<std::string, StartError> waiting_;
  std::map<std::string, std::string> messages_;
  std::map<std::string, std::string> volume_paths_;
  bool volumes_ready_ = false, volumes_stale_ = false;
  TimePoint volumes_checked_{};
  std::map<std::string, json::Value> applied_;  // container id -> the resources it has
  std::string failure_reason_, failure_message_;
  struct Retry {
    TimePoint at;
    int failures = 0;
  };
  std::map<std::string, Retry> retries_;  // of starts that failed, by container; "" for the sandbox
  TimePoint retry_at_{};                  // the soonest of them and of the back-offs, after one sync
  std::stop_source starting_;             // ends long steps of a start when the pod is to stop
  std::string last_volume_error_;
};

}  // namespace lab::agent
