// CronJob controller: makes Jobs at scheduled times, and keeps a few finished ones.
#pragma once

#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/cron.h"

namespace lab::controllers {

class CronJobController final : public QueueController {
 public:
  explicit CronJobController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> trim(client::ObjectPtr cron, std::vector<client::ObjectPtr> finished);
  Task<Result<void>> start_job(client::ObjectPtr cron, WallTime scheduled, json::Value& status);
  Task<Result<bool>> make_room(client::ObjectPtr cron, std::vector<client::ObjectPtr> active);
  client::Informer& crons_;
  client::Informer& jobs_;
};

// The last time since `since` at which the schedule was due, at most now; nullopt when it was not. `missed` counts
// those that lie between; counting ends above 100.
std::optional<WallTime> last_due(const CronSchedule& schedule, WallTime since, WallTime now, int& missed);

}  // namespace lab::controllers
