// The agent's inside: who is who. Only agent*.cpp include this.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/node_status.h"
#include "orchestrator/agent/pod_worker.h"
#include "orchestrator/agent/server.h"
#include "orchestrator/agent/static_pods.h"

namespace lab::agent {

// Destruction goes upwards through this list: workers first, then what they use.
struct Agent::Impl {
  Impl(AgentOptions o, client::Client* a, Loop& l);

  Result<void> start(Scope& scope);
  Task<void> stop_server(std::stop_token stop);
  NodeServices make_services();

  // agent_pods.cpp
  void on_pod(const ObjectPtr& old, const ObjectPtr& now);
  void dispatch(const ObjectPtr& pod);
  void on_volume_object(const ObjectRef& ref, const std::string& ns, const ObjectPtr& now,
                        const std::set<std::string>& pods);
  void forget_source(const std::string& uid);
  void start_worker(const ObjectPtr& pod, bool orphan);
  Task<void> run_worker(std::string uid, bool from_api, std::stop_token stop);
  Task<void> manifest_loop(std::stop_token stop);
  Task<void> follow_manifests(std::stop_token stop);
  Task<void> close_watch(std::stop_token stop);
  void take_manifests(StaticPodSet set);
  Task<void> mirror_loop(std::stop_token stop);
  Task<void> sync_mirrors();
  Task<void> adopt_or_remove_orphans(std::stop_token stop);
  void check_orphan(const std::string& uid);
  // agent_gc.cpp
  Task<void> gc_loop(std::stop_token stop);
  bool sources_known() const;  // every pod that is to be here, and what runs, has been heard of
  Task<void> collect_remains();
  Task<void> rotate_logs();

  // agent_backend.cpp
  ServerBackend make_backend();
  Result<FoundContainer> find_container_of(const std::string& ns, const std::string& pod, const std::string& container,
                                           bool previous);
  Task<Result<bool>> authorize(std::string token, std::string verb, std::string subresource);

  PodWorker* find(const std::string& uid) const;
  PodWorker* find(const std::string& ns, const std::string& name) const;
  std::vector<ObjectPtr> pods() const;
  Variables service_environment(const std::string& ns, bool links) const;
  PodFacts node_facts() const;
  std::optional<std::pair<std::string, std::string>> refuse(const json::Value& pod) const;
  void event(const json::Value& pod, std::string type, std::string reason, std::string message, std::string path);

  AgentOptions options;
  client::Client* api;
  Loop& loop;
  Scope* scope = nullptr;
  Pool pool{"agent", 4};
  cri::CriClient cri;
  Runtime runtime{cri};
  Cgroups cgroups;
  MachineInfo machine;
  NodeCapacity capacity;
  std::string node_ip;
  ObjectFetcher objects;
  ObjectWatches watches;
  TokenSource tokens;
  Volumes volumes;
  Images images;
  std::unique_ptr<StatusManager> statuses;
  std::unique_ptr<client::EventRecorder> recorder;
  std::unique_ptr<client::Informer> pod_informer, service_informer;
  std::unique_ptr<NodeKeeper> keeper;
  std::unique_ptr<NodeServices> services;
  std::map<std::string, std::unique_ptr<PodWorker>> workers;  // by uid
  std::set<std::string> finished;                // uids that are done with here, while their objects are still seen
  std::map<std::string, ObjectPtr> static_pods;  // by uid, as the manifests say now
  std::map<std::string, std::string> manifest_problems;
  std::map<std::string, ObjectPtr> mirrors;  // "namespace/name" -> the API's object
  bool manifests_read = false, manifests_changed = false;
  std::unique_ptr<Descriptor> manifest_watch;
  Event manifests_due;
  Event mirrors_due;
  std::unique_ptr<AgentServer> server;
};

}  // namespace lab::agent
