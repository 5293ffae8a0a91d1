// ReplicaSet controller: keeps the number of pods that a ReplicaSet asks for. ReplicationControllers are the same thing
// with a map for a selector, and get an instance of their own.
#pragma once

#include "orchestrator/controllers/pod_control.h"

namespace lab::controllers {

class ReplicaSetController final : public QueueController {
 public:
  ReplicaSetController(Context& context, client::Resource kind = client::res::replicasets);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> manage(client::ObjectPtr set, std::vector<client::ObjectPtr> active);
  Task<Result<void>> update_status(client::ObjectPtr set, std::vector<client::ObjectPtr> active, Result<void> managed);
  std::vector<client::ObjectPtr> choose_for_deletion(const json::Value& set, std::vector<client::ObjectPtr> active,
                                                     std::size_t count) const;
  api::LabelSelector selector_of(const json::Value& set) const;
  void pod_changed(const client::ObjectPtr& old, const client::ObjectPtr& now);
  void queue_owner(const json::Value& pod, bool urgent);

  client::Resource kind_;
  client::Informer& sets_;
  client::Informer& pods_;
};

// Counters of a ReplicaSet's status out of its active pods.
struct ReplicaCounts {
  std::int64_t replicas = 0, fully_labeled = 0, ready = 0, available = 0;
  std::optional<WallTime> next_available;  // when the next ready pod becomes available
};
ReplicaCounts count_replicas(const json::Value& set, const std::vector<client::ObjectPtr>& active, WallTime now);

}  // namespace lab::controllers
