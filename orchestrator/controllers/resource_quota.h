// ResourceQuota controller: keeps status.used of every quota true, so that people see what is left. Admission counts by
// itself and never waits for this.
//
// Kinds that no other controller watches (ConfigMaps, Secrets, custom resources) are watched, by their metadata, from
// when a quota first names them.
#pragma once

#include <map>
#include <optional>

#include "orchestrator/api/quota.h"
#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

class ResourceQuotaController final : public QueueController {
 public:
  explicit ResourceQuotaController(Context& context);

 private:
  struct Counted {
    api::Kind kind;  // group, version, plural and kind only, for those that discovery named
    client::Informer* objects = nullptr;
  };
  Task<Result<void>> reconcile(std::string key) override;
  Task<void> background(std::stop_token stop) override;
  // The informer behind a name of `hard`, made on first use; null where nobody serves such a kind.
  Task<Counted*> counted(std::string hard_name);
  Task<std::optional<api::Kind>> kind_called(std::string plural, std::string group);
  void watch_changes(client::Informer& informer, api::Kind kind);
  void queue_namespace(const std::string& ns);

  client::Informer& quotas_;
  std::map<std::string, Counted> counted_;  // by "plural.group"
};

}  // namespace lab::controllers
