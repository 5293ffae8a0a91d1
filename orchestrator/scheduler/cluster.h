// Cluster: the scheduler's informers, and what they say about the surroundings of a pod.
#pragma once

#include "orchestrator/client/informer.h"
#include "orchestrator/scheduler/cycle.h"

namespace lab::scheduler {

struct Cluster {
  explicit Cluster(client::Client& client);

  void start(Scope& scope);
  Task<bool> wait_synced(std::stop_token stop);
  Surroundings surroundings(const std::function<std::size_t(const std::string&)>& nodes_with_image);

  client::Informer pods, nodes, namespaces, services, replicationcontrollers, replicasets, statefulsets, budgets,
      claims, volumes, storage_classes;

 private:
  std::vector<client::Informer*> all();
  std::vector<api::LabelSelector> owner_selectors(const PodInfo& pod) const;
};

}  // namespace lab::scheduler
