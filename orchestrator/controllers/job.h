// Job controller: runs pods until enough of them have succeeded.
//
// Every pod carries the finalizer batch.kubernetes.io/job-tracking until its end is in the status, so that each success
// and each failure counts exactly once, whatever is deleted or restarted in between: first the uid goes into
// status.uncountedTerminatedPods, then the finalizer goes, then the counter rises (KEP-2307).
#pragma once

#include "orchestrator/controllers/job_plan.h"
#include "orchestrator/controllers/pod_control.h"

namespace lab::controllers {

class JobController final : public QueueController {
 public:
  explicit JobController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> release_orphans(std::string key);
  Task<Result<void>> manage(client::ObjectPtr job, JobCounts counts);
  Task<Result<void>> delete_pods(client::ObjectPtr job, std::vector<client::ObjectPtr> pods);
  Task<Result<json::Value>> count_and_release(client::ObjectPtr job, JobCounts counts, json::Value status);
  Task<Result<void>> release_finalizers(std::vector<client::ObjectPtr> pods);
  json::Value pod_for(const json::Value& job, std::optional<std::int64_t> index) const;
  void put_suspension(const json::Value& job, json::Value& status);
  void put_end(const json::Value& job, const JobCounts& counts, json::Value& status);

  client::Informer& jobs_;
  client::Informer& pods_;
};

// Deletes finished Jobs after spec.ttlSecondsAfterFinished.
class TtlAfterFinishedController final : public QueueController {
 public:
  explicit TtlAfterFinishedController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  client::Informer& jobs_;
};

}  // namespace lab::controllers
