#include "orchestrator/controllers/deployment.h"

#include <algorithm>
#include <charconv>

#include "orchestrator/controllers/deployment_history.h"
#include "orchestrator/controllers/deployment_rolling.h"
#include "orchestrator/controllers/deployment_status.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

SetSize size_of(const json::Value& set) {
  return {wanted_replicas_of(set), json::num(set, "status", "availableReplicas")};
}

std::int64_t number_annotation(const json::Value& object, const char* key) {
  auto text = annotation_of(object, key);
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

std::vector<ObjectPtr> DeploymentController::View::old() const {
  std::vector<ObjectPtr> out;
  for (const auto& set : sets)
    if (!newest || uid_of(*set) != uid_of(*newest)) out.push_back(set);
  return out;
}

DeploymentController::DeploymentController(Context& context)
    : QueueController(context, "deployment", 5),
      deployments_(own(res::deployments)),
      sets_(use(res::replicasets)),
      pods_(use(res::pods)) {
  auto queue_owner = [this](const json::Value& object) {
    const auto* ref = controller_of(object);
    if (ref && json::str(*ref, "kind") == "Deployment")
      queue_.add(ns_of(object) + "/" + std::string(json::str(*ref, "name")));
  };
  sets_.on_change([this, queue_owner](const ObjectPtr& old, const ObjectPtr& now) {
    if (old) queue_owner(*old);
    if (!now) return;
    queue_owner(*now);
    if (controller_of(*now) || (old && labels_of(*old) == labels_of(*now))) return;
    for (const auto& deployment : deployments_.list_namespace(ns_of(*now)))
      if (auto selector = api::LabelSelector::from_object(json::at(*deployment, "spec", "selector"));
          selector && selector->matches(labels_of(*now)))
        queue_.add(client::key_of(*deployment));
  });
  // Recreate waits for the last old pod to be gone.
  pods_.on_change([this, queue_owner](const ObjectPtr& old, const ObjectPtr& now) {
    if (now) return;
    const auto* ref = controller_of(*old);
    if (!ref || json::str(*ref, "kind") != "ReplicaSet") return;
    auto set = sets_.get(ns_of(*old) + "/" + std::string(json::str(*ref, "name")));
    if (!set) return;
    const auto* owner = controller_of(*set);
    if (!owner) return;
    auto deployment = deployments_.get(ns_of(*old) + "/" + std::string(json::str(*owner, "name")));
    if (deployment && !is_rolling(*deployment)) queue_owner(*set);
  });
}

Task<Result<void>> DeploymentController::reconcile(std::string key) {
  View view;
  view.deployment = deployments_.get(key);
  if (!view.deployment) co_return Result<void>();
  auto selector = api::LabelSelector::from_object(json::at(*view.deployment, "spec", "selector"));
  if (!selector || selector->empty()) {
    context_.events.event(*view.deployment, "Warning", "SelectingAll",
                          "This deployment is selecting all pods. A non-empty selector is required.");
    co_return Result<void>();
  }
  ClaimRequest request{res::deployments, res::replicasets,
                       [&selector](const json::Value& set) { return selector->matches(labels_of(set)); }};
  LAB_CO_TRY(view.sets, co_await claim(context_, sets_, view.deployment, request));
  sort_by_age(view.sets);
  view.newest = find_new_set(*view.deployment, view.sets);
  if (is_terminating(*view.deployment)) co_return co_await write_rollout_status(view, false);
  LAB_CO_CHECK(co_await note_pause(view));
  if (json::flag(*view.deployment, "spec", "paused") || size_changed(view)) co_return co_await scale_only(view);
  if (is_rolling(*view.deployment)) co_return co_await roll(view);
  co_return co_await recreate(view);
}

Task<Result<void>> DeploymentController::roll(View& view) {
  LAB_CO_CHECK(co_await ensure_newest(view, true));
  std::int64_t replicas = wanted_replicas_of(*view.deployment);
  auto limits = rolling_limits(*view.deployment);
  std::vector<SetSize> all, old_sizes;
  auto old = view.old();
  for (const auto& set : view.sets) all.push_back(size_of(*set));
  for (const auto& set : old) old_sizes.push_back(size_of(*set));

  auto target = new_set_target(replicas, limits, true, wanted_replicas_of(*view.newest), all);
  LAB_CO_TRY(bool scaled, co_await scale_set(view, view.newest, target));
  if (!scaled) {
    auto targets = old_set_targets(replicas, limits, size_of(*view.newest), old_sizes);
    for (std::size_t i = 0; i < old.size(); ++i) {
      LAB_CO_TRY(bool one, co_await scale_set(view, old[i], targets[i]));
      scaled = scaled || one;
    }
  }
  if (!scaled && deployment_complete(*view.deployment, json::at(*view.deployment, "status")))
    LAB_CO_CHECK(co_await clean_up_history(view));
  co_return co_await write_rollout_status(view, true);
}

bool DeploymentController::old_pods_run(const View& view) const {
  for (const auto& set : view.old())
    for (const auto& pod : pods_.by_index("controller", uid_of(*set)))
      if (!pod_finished(*pod)) return true;
  return false;
}

Task<Result<void>> DeploymentController::recreate(View& view) {
  LAB_CO_CHECK(co_await ensure_newest(view, false));
  bool scaled = false;
  for (const auto& set : view.old()) {
    LAB_CO_TRY(bool one, co_await scale_set(view, set, 0));
    scaled = scaled || one;
  }
  if (scaled || old_pods_run(view)) co_return co_await write_rollout_status(view, true);
  LAB_CO_CHECK(co_await ensure_newest(view, true));
  LAB_CO_TRY(bool grown, co_await scale_set(view, view.newest, wanted_replicas_of(*view.deployment)));
  if (!grown && deployment_complete(*view.deployment, json::at(*view.deployment, "status")))
    LAB_CO_CHECK(co_await clean_up_history(view));
  co_return co_await write_rollout_status(view, true);
}

// Whether spec.replicas changed since the active sets were last scaled.
bool DeploymentController::size_changed(const View& view) const {
  for (const auto& set : view.sets) {
    if (wanted_replicas_of(*set) == 0 || annotation_of(*set, kDesiredReplicas).empty()) continue;
    if (number_annotation(*set, kDesiredReplicas) != wanted_replicas_of(*view.deployment)) return true;
  }
  return false;
}

Task<Result<void>> DeploymentController::scale_only(View& view) {
  LAB_CO_CHECK(co_await ensure_newest(view, false));
  std::int64_t replicas = wanted_replicas_of(*view.deployment);
  std::vector<ObjectPtr> active;
  for (const auto& set : view.sets)
    if (wanted_replicas_of(*set) > 0) active.push_back(set);
  bool saturated = view.newest && wanted_replicas_of(*view.newest) == replicas &&
                   json::num(*view.newest, "status", "availableReplicas") == replicas &&
                   number_annotation(*view.newest, kDesiredReplicas) == replicas;
  if (active.size() <= 1) {
    ObjectPtr only = active.empty() ? (view.newest || view.sets.empty() ? view.newest : view.sets.back()) : active[0];
    if (only) LAB_CO_CHECK(co_await scale_set(view, only, replicas));
  } else if (saturated) {
    for (const auto& set : view.old()) LAB_CO_CHECK(co_await scale_set(view, set, 0));
  } else if (is_rolling(*view.deployment)) {
    std::vector<ProportionalSet> sizes;
    for (const auto& set : active)
      sizes.push_back({wanted_replicas_of(*set), number_annotation(*set, kMaxReplicas),
                       created_at(*set).time_since_epoch().count()});
    auto targets = proportional_targets(replicas, rolling_limits(*view.deployment), true, sizes);
    for (std::size_t i = 0; i < active.size(); ++i) LAB_CO_CHECK(co_await scale_set(view, active[i], targets[i]));
  }
  if (json::flag(*view.deployment, "spec", "paused")) LAB_CO_CHECK(co_await clean_up_history(view));
  co_return co_await write_rollout_status(view, false);
}

Task<Result<bool>> DeploymentController::scale_set(View& view, ObjectPtr set, std::int64_t target) {
  std::int64_t replicas = wanted_replicas_of(*view.deployment), before = wanted_replicas_of(*set);
  json::Value next = *set;
  bool annotated = annotate_sizes(next, replicas, replicas + rolling_limits(*view.deployment).surge);
  if (before == target && !annotated) co_return false;
  json::Value patch;
  json::set(patch, uid_of(*set), "metadata", "uid");
  json::set(patch, json::at(next, "metadata", "annotations"), "metadata", "annotations");
  json::set(patch, target, "spec", "replicas");
  LAB_CO_TRY(json::Value written, co_await context_.client.patch(res::replicasets, ns_of(*set), name_of(*set),
                                                                 client::PatchType::kMerge, std::move(patch)));
  auto now = std::make_shared<const json::Value>(written);
  for (auto& known : view.sets)
    if (uid_of(*known) == uid_of(*set)) known = now;
  if (view.newest && uid_of(*view.newest) == uid_of(*set)) view.newest = now;
  sets_.observe(std::move(written));
  if (before == target) co_return false;
  context_.events.event(*view.deployment, "Normal", "ScalingReplicaSet",
                        std::string("Scaled ") + (target > before ? "up" : "down") + " replica set " + name_of(*set) +
                            " from " + std::to_string(before) + " to " + std::to_string(target));
  co_return true;
}

Task<Result<void>> DeploymentController::ensure_newest(View& view, bool create) {
  if (!view.newest && create) LAB_CO_CHECK(co_await create_newest(view));
  if (view.newest) LAB_CO_CHECK(co_await adopt_revision(view));
  co_return Result<void>();
}

Task<Result<void>> DeploymentController::create_newest(View& view) {
  json::Value set = make_set(*view.deployment);
  std::int64_t replicas = wanted_replicas_of(*view.deployment);
  auto limits = rolling_limits(*view.deployment);
  std::vector<SetSize> all;
  for (const auto& known : view.sets) all.push_back(size_of(*known));
  std::int64_t size = new_set_target(replicas, limits, is_rolling(*view.deployment), 0, all);
  json::set(set, size, "spec", "replicas");
  annotate_new_set(*view.deployment, set, highest_revision(view.sets) + 1);
  annotate_sizes(set, replicas, replicas + limits.surge);
  std::string name = name_of(set), ns = ns_of(set);

  auto created = co_await context_.client.create(res::replicasets, ns, set);
  if (!created && created.error().code == Code::kAlreadyExists) {
    auto existing = co_await context_.client.get(res::replicasets, ns, name);
    if (existing && controlled_by(*existing, *view.deployment) &&
        same_template(json::at(*existing, "spec", "template"), json::at(*view.deployment, "spec", "template"))) {
      view.newest = std::make_shared<const json::Value>(*existing);
      view.sets.push_back(view.newest);
      sets_.observe(std::move(*existing));
      co_return Result<void>();
    }
    // Another template with the same hash: the next reconcile takes another name.
    json::Value status = json::at(*view.deployment, "status");
    json::set(status, json::num(status, "collisionCount") + 1, "collisionCount");
    LAB_CO_CHECK(co_await write(view, std::move(status)));
    queue_.add(client::key_of(*view.deployment));
    co_return fail(Code::kConflict, "ReplicaSet name " + name + " is taken");
  }
  if (!created) {
    if (namespace_terminating(created.error())) co_return std::unexpected(std::move(created).error());
    std::string message = "Failed to create new replica set \"" + name + "\": " + created.error().message;
    context_.events.event(*view.deployment, "Warning", "ReplicaSetCreateError", message);
    json::Value status = json::at(*view.deployment, "status");
    if (has_progress_deadline(*view.deployment)) {
      put_deployment_condition(status, "Progressing", "False", "ReplicaSetCreateError", message, context_.now());
      (void)co_await write(view, std::move(status));
    }
    co_return std::unexpected(std::move(created).error());
  }
  view.newest = std::make_shared<const json::Value>(*created);
  view.sets.push_back(view.newest);
  sets_.observe(std::move(*created));
  if (size > 0)
    context_.events.event(*view.deployment, "Normal", "ScalingReplicaSet",
                          "Scaled up replica set " + name + " from 0 to " + std::to_string(size));
  if (has_progress_deadline(*view.deployment)) {
    json::Value status = json::at(*view.deployment, "status");
    put_deployment_condition(status, "Progressing", "True", "NewReplicaSetCreated",
                             "Created new replica set \"" + name + "\"", context_.now());
    LAB_CO_CHECK(co_await write(view, std::move(status)));
  }
  co_return Result<void>();
}

// The new set carries the highest revision and the Deployment's annotations; the Deployment carries its revision.
Task<Result<void>> DeploymentController::adopt_revision(View& view) {
  json::Value next = *view.newest;
  bool changed = annotate_new_set(*view.deployment, next, highest_revision(view.old()) + 1);
  auto min_ready = json::num(*view.deployment, "spec", "minReadySeconds");
  bool ready_changed = min_ready != json::num(next, "spec", "minReadySeconds");
  if (changed || ready_changed) {
    json::Value patch;
    json::set(patch, json::at(next, "metadata", "annotations"), "metadata", "annotations");
    if (ready_changed) json::set(patch, min_ready, "spec", "minReadySeconds");
    LAB_CO_TRY(json::Value written, co_await context_.client.patch(res::replicasets, ns_of(next), name_of(next),
                                                                   client::PatchType::kMerge, std::move(patch)));
    auto now = std::make_shared<const json::Value>(written);
    for (auto& set : view.sets)
      if (uid_of(*set) == uid_of(*now)) set = now;
    view.newest = now;
    sets_.observe(std::move(written));
  }
  std::string revision(annotation_of(*view.newest, kRevision));
  if (annotation_of(*view.deployment, kRevision) != revision) {
    json::Value patch;
    json::set(patch, revision, "metadata", "annotations", kRevision);
    LAB_CO_TRY(json::Value written,
               co_await context_.client.patch(res::deployments, ns_of(next), name_of(*view.deployment),
                                              client::PatchType::kMerge, std::move(patch)));
    view.deployment = std::make_shared<const json::Value>(written);
    deployments_.observe(std::move(written));
  }
  if (has_progress_deadline(*view.deployment) && !find_condition(*view.deployment, "Progressing")) {
    json::Value status = json::at(*view.deployment, "status");
    put_deployment_condition(status, "Progressing", "True", "FoundNewReplicaSet",
                             "Found new replica set \"" + name_of(*view.newest) + "\"", context_.now());
    LAB_CO_CHECK(co_await write(view, std::move(status)));
  }
  co_return Result<void>();
}

Task<Result<void>> DeploymentController::clean_up_history(View& view) {
  if (!json::has(*view.deployment, "spec", "revisionHistoryLimit")) co_return Result<void>();
  auto limit = static_cast<std::size_t>(json::num(*view.deployment, "spec", "revisionHistoryLimit"));
  auto old = view.old();
  std::erase_if(old, [](const ObjectPtr& set) { return is_terminating(*set); });
  if (old.size() <= limit) co_return Result<void>();
  std::stable_sort(old.begin(), old.end(),
                   [](const auto& a, const auto& b) { return revision_of_set(*a) < revision_of_set(*b); });
  for (std::size_t i = 0; i < old.size() - limit; ++i) {
    const auto& set = *old[i];
    if (json::num(set, "status", "replicas") != 0 || wanted_replicas_of(set) != 0 ||
        json::num(set, "metadata", "generation") > json::num(set, "status", "observedGeneration"))
      continue;
    LAB_CO_CHECK(co_await delete_observed(context_, sets_, res::replicasets, old[i]));
  }
  co_return Result<void>();
}

// While it is paused the deadline does not run.
Task<Result<void>> DeploymentController::note_pause(View& view) {
  if (!has_progress_deadline(*view.deployment)) co_return Result<void>();
  const auto* progressing = find_condition(*view.deployment, "Progressing");
  auto reason = progressing ? json::str(*progressing, "reason") : std::string_view();
  if (reason == "ProgressDeadlineExceeded") co_return Result<void>();
  bool paused = json::flag(*view.deployment, "spec", "paused");
  if (paused == (reason == "DeploymentPaused")) co_return Result<void>();
  json::Value status = json::at(*view.deployment, "status");
  if (paused)
    put_deployment_condition(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused",
                             context_.now());
  else
    put_deployment_condition(status, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed",
                             context_.now());
  co_return co_await write(view, std::move(status));
}

Task<Result<void>> DeploymentController::write_rollout_status(View& view, bool rollout) {
  WallTime now = context_.now();
  const auto& deployment = *view.deployment;
  json::Value status = deployment_status(deployment, view.sets, view.newest, now);
  if (rollout) put_rollout_conditions(deployment, status, view.sets, view.newest, now);
  if (rollout && has_progress_deadline(deployment) && !deployment_complete(deployment, status)) {
    const auto* progressing = condition_in(json::list(status, "conditions"), "Progressing");
    if (progressing && json::str(*progressing, "reason") != "ProgressDeadlineExceeded")
      if (auto since = time_at(json::at(*progressing, "lastUpdateTime"))) {
        auto due = *since + std::chrono::seconds(json::num(deployment, "spec", "progressDeadlineSeconds") + 1);
        queue_.add_after(client::key_of(deployment), std::max<Duration>(due - now, std::chrono::seconds(1)));
      }
  }
  co_return co_await write(view, std::move(status));
}

Task<Result<void>> DeploymentController::write(View& view, json::Value status) {
  if (status == json::at(*view.deployment, "status")) co_return Result<void>();
  json::Value next = *view.deployment;
  json::set(next, std::move(status), "status");
  auto written = co_await write_status(context_, deployments_, res::deployments, std::move(next));
  if (!written && written.error().code == Code::kNotFound) co_return Result<void>();
  if (!written) co_return std::unexpected(std::move(written).error());
  view.deployment = std::make_shared<const json::Value>(std::move(*written));
  co_return Result<void>();
}

}  // namespace lab::controllers
