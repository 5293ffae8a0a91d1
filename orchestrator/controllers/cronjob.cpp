#include "orchestrator/controllers/cronjob.h"

#include <algorithm>

#include "orchestrator/api/time.h"
#include "orchestrator/controllers/deployment_history.h"
#include "orchestrator/controllers/job_plan.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;
using std::chrono::seconds;

namespace {

bool schedules_in_utc(const json::Value& cron) {
  auto zone = json::str(cron, "spec", "timeZone");
  return zone.empty() || zone == "UTC" || zone == "Etc/UTC";
}

json::Value reference(const json::Value& job) {
  return json::Object{{"apiVersion", "batch/v1"}, {"kind", "Job"},
                      {"name", name_of(job)},     {"namespace", ns_of(job)},
                      {"uid", uid_of(job)},       {"resourceVersion", json::str(job, "metadata", "resourceVersion")}};
}

}  // namespace

std::optional<WallTime> last_due(const CronSchedule& schedule, WallTime since, WallTime now, int& missed) {
  std::optional<WallTime> last;
  missed = 0;
  for (auto at = schedule.next(since); at && *at <= now; at = schedule.next(*at)) {
    last = at;
    if (++missed <= 100) continue;
    // After a long pause only the last one matters: look back from now instead of stepping through all.
    for (auto back : {seconds(120), seconds(7200), seconds(86400 * 2)}) {
      auto near = schedule.next(now - back);
      if (!near || *near > now) continue;
      for (auto step = near; step && *step <= now; step = schedule.next(*step)) last = step;
      return last;
    }
  }
  return last;
}

CronJobController::CronJobController(Context& context)
    : QueueController(context, "cronjob", 2), crons_(own(res::cronjobs)), jobs_(use(res::jobs)) {
  jobs_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    const auto* ref = controller_of(now ? *now : *old);
    if (ref && json::str(*ref, "kind") == "CronJob")
      queue_.add(ns_of(now ? *now : *old) + "/" + std::string(json::str(*ref, "name")));
  });
}

Task<Result<void>> CronJobController::trim(ObjectPtr cron, std::vector<ObjectPtr> finished) {
  for (auto [type, field, fallback] :
       {std::tuple{"Complete", "successfulJobsHistoryLimit", 3}, {"Failed", "failedJobsHistoryLimit", 1}}) {
    auto limit = json::has(*cron, "spec", field) ? json::num(*cron, "spec", field) : fallback;
    std::vector<ObjectPtr> jobs;
    for (const auto& job : finished)
      if (condition_is(*job, type)) jobs.push_back(job);
    sort_by_age(jobs);
    for (std::int64_t i = 0; i + limit < std::ssize(jobs); ++i) {
      client::DeleteOptions options;
      options.propagation = "Background";
      LAB_CO_CHECK(co_await delete_observed(context_, jobs_, res::jobs, jobs[static_cast<std::size_t>(i)], options));
    }
  }
  co_return Result<void>();
}

Task<Result<void>> CronJobController::reconcile(std::string key) {
  ObjectPtr cron = crons_.get(key);
  if (!cron || is_terminating(*cron)) co_return Result<void>();
  std::vector<ObjectPtr> active, finished;
  for (const auto& job : jobs_.by_index("controller", uid_of(*cron)))
    (job_finished(*job) ? finished : active).push_back(job);
  json::Value status = json::at(*cron, "status");
  if (!status.is_object()) status.emplace_object();
  sort_by_age(active);
  json::Array running;
  for (const auto& job : active) running.push_back(reference(*job));
  if (running.empty())
    json::erase(status, "active");
  else
    json::set(status, std::move(running), "active");
  for (const auto& job : finished) {
    auto done = json::str(*job, "status", "completionTime");
    if (condition_is(*job, "Complete") && done > json::str(status, "lastSuccessfulTime"))
      json::set(status, std::string(done), "lastSuccessfulTime");
  }
  LAB_CO_CHECK(co_await trim(cron, finished));

  Result<void> outcome;
  auto schedule = CronSchedule::parse(json::str(*cron, "spec", "schedule"));
  if (!schedule) {
    context_.events.event(*cron, "Warning", "UnparseableSchedule", schedule.error().text());
  } else if (!schedules_in_utc(*cron)) {
    context_.events.event(
        *cron, "Warning", "UnknownTimeZone",
        "only UTC is known here: invalid timeZone: " + std::string(json::str(*cron, "spec", "timeZone")));
  } else if (!json::flag(*cron, "spec", "suspend")) {
    WallTime now = context_.now();
    WallTime since = time_at(json::at(status, "lastScheduleTime")).value_or(created_at(*cron));
    bool bounded = json::has(*cron, "spec", "startingDeadlineSeconds");
    if (bounded) since = std::max(since, now - seconds(json::num(*cron, "spec", "startingDeadlineSeconds")));
    int missed = 0;
    auto due = last_due(*schedule, since, now, missed);
    if (missed > 100)
      context_.events.event(
          *cron, "Warning", "TooManyMissedTimes",
          "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
    if (due) {
      auto room = co_await make_room(cron, active);
      if (!room)
        outcome = std::unexpected(std::move(room).error());
      else if (*room)
        outcome = co_await start_job(cron, *due, status);
    }
    if (auto next = schedule->next(context_.now()))
      queue_.add_after(key, *next - context_.now() + std::chrono::milliseconds(100));
  }
  if (status != json::at(*cron, "status")) {
    json::Value next = *cron;
    json::set(next, std::move(status), "status");
    auto written = co_await write_status(context_, crons_, res::cronjobs, std::move(next));
    if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  }
  co_return outcome;
}

// Whether concurrencyPolicy lets another Job start; Replace deletes those that run.
Task<Result<bool>> CronJobController::make_room(ObjectPtr cron, std::vector<ObjectPtr> active) {
  auto policy = json::str(*cron, "spec", "concurrencyPolicy");
  if (active.empty() || (policy != "Forbid" && policy != "Replace")) co_return true;
  if (policy == "Forbid") {
    context_.events.event(*cron, "Normal", "JobAlreadyActive",
                          "Not starting job because prior execution is running and concurrency policy is Forbid");
    co_return false;
  }
  for (const auto& job : active) {
    client::DeleteOptions options;
    options.propagation = "Background";
    LAB_CO_CHECK(co_await delete_observed(context_, jobs_, res::jobs, job, options));
    context_.events.event(*cron, "Normal", "SuccessfulDelete", "Deleted job " + name_of(*job));
  }
  co_return true;
}

Task<Result<void>> CronJobController::start_job(ObjectPtr cron, WallTime scheduled, json::Value& status) {
  // The name is the scheduled minute, so that a restart between two writes cannot start the same run twice.
  auto minute = std::chrono::duration_cast<std::chrono::minutes>(scheduled.time_since_epoch()).count();
  const auto& pattern = json::at(*cron, "spec", "jobTemplate");
  json::Value job = json::Object{{"apiVersion", "batch/v1"}, {"kind", "Job"}};
  for (const char* field : {"labels", "annotations"})
    if (json::has(pattern, "metadata", field)) json::set(job, json::at(pattern, "metadata", field), "metadata", field);
  json::set(job, name_of(*cron) + "-" + std::to_string(minute), "metadata", "name");
  json::set(job, ns_of(*cron), "metadata", "namespace");
  json::set(job, api::format_time(scheduled), "metadata", "annotations",
            "batch.kubernetes.io/cronjob-scheduled-timestamp");
  json::set(job, json::Array{controller_ref(res::cronjobs, *cron)}, "metadata", "ownerReferences");
  json::set(job, json::at(pattern, "spec"), "spec");
  auto made = co_await context_.client.create(res::jobs, ns_of(*cron), std::move(job));
  if (!made && made.error().code != Code::kAlreadyExists) {
    if (namespace_terminating(made.error())) co_return Result<void>();
    context_.events.event(*cron, "Warning", "FailedCreate", "Error creating job: " + made.error().message);
    co_return std::unexpected(std::move(made).error());
  }
  json::set(status, api::format_time(scheduled), "lastScheduleTime");
  if (!made) co_return Result<void>();
  context_.events.event(*cron, "Normal", "SuccessfulCreate", "Created job " + name_of(*made));
  json::Array running = json::list(status, "active");
  running.push_back(reference(*made));
  json::set(status, std::move(running), "active");
  jobs_.observe(std::move(*made));
  co_return Result<void>();
}

}  // namespace lab::controllers
