// The scheduler's parts; private to this folder.
#pragma once

#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/scheduler/algorithm.h"
#include "orchestrator/scheduler/cache.h"
#include "orchestrator/scheduler/cluster.h"
#include "orchestrator/scheduler/preemption.h"
#include "orchestrator/scheduler/queue.h"
#include "orchestrator/scheduler/scheduler.h"

namespace lab::scheduler {

struct Scheduler::Impl {
  Impl(client::Client& client, Loop& loop, Options options);

  // scheduler.cpp: the loop
  Task<void> run(std::stop_token stop);
  Task<void> wait_for_work(std::stop_token stop);
  void schedule_one(QueuedPod queued);

  // scheduler_events.cpp: what the informers tell
  void watch_cluster();
  void pod_changed(const client::ObjectPtr& old, const client::ObjectPtr& now);
  void pod_gone(const json::Value& pod);
  void pod_placed(const client::ObjectPtr& old, PodInfoPtr pod);
  void pod_waits(const client::ObjectPtr& old, PodInfoPtr pod);
  void node_changed(const client::ObjectPtr& old, const client::ObjectPtr& now);
  void tell(EventMask what);
  bool is_ours(const json::Value& pod) const;

  // scheduler_bind.cpp: what is written
  Task<void> bind(QueuedPod queued, std::string node, std::vector<std::string> claims);
  Task<Result<void>> write_binding(PodInfoPtr pod, std::string node, std::vector<std::string> claims);
  Task<Result<void>> provision_claims(PodInfoPtr pod, std::string node, std::vector<std::string> names);
  void report_failure(const PodInfo& pod, const std::string& reason, const std::string& message,
                      const std::string& nominated_node);
  Task<void> write_condition(PodInfoPtr pod, std::string reason, std::string message, std::string nominated_node);
  Task<void> evict(PodInfoPtr victim, PodInfoPtr by, std::string node);
  Task<void> clear_nomination(PodInfoPtr pod);
  std::string preempt(const Cycle& cycle, Diagnosis& why);  // the node nominated, or ""

  client::Client& client;
  Loop& loop;
  Options options;
  Scope scope;
  Cluster cluster;
  Cache cache;
  Surroundings world;
  SchedulingQueue queue;
  Nominations nominations;
  Algorithm algorithm;
  client::EventRecorder recorder;
  Event wake;  // the queue has changed, or a bind has ended
  Event claims_changed;
  bool synced = false;
  Stats stats;
};

}  // namespace lab::scheduler
