// Deployment controller: rolls ReplicaSets from one pod template to the next.
//
// A rollback is the client's doing (kubectl writes an old template back): the old ReplicaSet is found by its template
// and becomes the new one under a new revision.
#pragma once

#include "orchestrator/controllers/pod_control.h"

namespace lab::controllers {

class DeploymentController final : public QueueController {
 public:
  explicit DeploymentController(Context& context);

 private:
  // One reconcile's view.
  struct View {
    client::ObjectPtr deployment;
    std::vector<client::ObjectPtr> sets;  // all, oldest first
    client::ObjectPtr newest;             // the one with the current template, or null
    std::vector<client::ObjectPtr> old() const;
  };

  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> roll(View& view);
  Task<Result<void>> recreate(View& view);
  Task<Result<void>> scale_only(View& view);
  Task<Result<void>> ensure_newest(View& view, bool create);
  Task<Result<void>> create_newest(View& view);
  Task<Result<void>> adopt_revision(View& view);
  Task<Result<bool>> scale_set(View& view, client::ObjectPtr set, std::int64_t target);
  Task<Result<void>> clean_up_history(View& view);
  Task<Result<void>> note_pause(View& view);
  Task<Result<void>> write_rollout_status(View& view, bool rollout);
  Task<Result<void>> write(View& view, json::Value status);
  bool size_changed(const View& view) const;
  bool old_pods_run(const View& view) const;

  client::Informer& deployments_;
  client::Informer& sets_;
  client::Informer& pods_;
};

}  // namespace lab::controllers
