// Persistent volumes: claims are bound to volumes that fit, volumes are made for claims of our own provisioner, what is
// in use is not deleted, and pods' ephemeral claims are made.
//
// A binding is written in four steps (the volume's claimRef, its phase, the claim's volumeName, its phase); each is
// done when it is missing, so that it may be cut off anywhere. The volume's claimRef with the claim's uid decides.
#pragma once

#include <set>

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

// Directories on the node that the scheduler has chosen.
inline constexpr const char* kDirectoryProvisioner = "lab.local/directory";
inline constexpr const char* kDirectoryVolumes = "/var/lib/lab/volumes";

// Whether a volume can serve a claim: class, modes, size, selector, not promised to another one. Pure.
bool volume_fits(const json::Value& volume, const json::Value& claim);

class PersistentVolumeController final : public QueueController {
 public:
  explicit PersistentVolumeController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> sync_claim(client::ObjectPtr claim);
  Task<Result<void>> sync_volume(client::ObjectPtr volume);
  Task<Result<void>> sync_pod(client::ObjectPtr pod);
  Task<Result<void>> bind(client::ObjectPtr volume, client::ObjectPtr claim);
  Task<Result<void>> provision(client::ObjectPtr claim, client::ObjectPtr storage_class);
  Task<Result<void>> release_finalizer(client::Informer& informer, client::Resource r, client::ObjectPtr object,
                                       std::string finalizer);
  Task<Result<void>> put_phase(client::Informer& informer, client::Resource r, client::ObjectPtr object,
                               std::string phase);
  client::ObjectPtr best_match(const json::Value& claim) const;
  bool in_use(const json::Value& claim) const;
  void tell(const json::Value& claim, const char* type, const char* reason, std::string message);

  client::Informer& claims_;
  client::Informer& volumes_;
  client::Informer& classes_;
  client::Informer& nodes_;
  client::Informer& pods_;
  std::set<std::string> told_;  // uid and reason: once is enough
};

}  // namespace lab::controllers
