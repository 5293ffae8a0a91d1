#include "orchestrator/controllers/disruption.h"

#include <algorithm>
#include <set>

#include "orchestrator/api/selector.h"
#include "orchestrator/controllers/deployment_rolling.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

// An eviction that the server has granted but the pod has not followed within this time is forgotten.
static constexpr auto kEvictionTimeout = std::chrono::minutes(2);

DisruptionController::DisruptionController(Context& context)
    : QueueController(context, "disruption", 2),
      budgets_(own(res::poddisruptionbudgets)),
      pods_(use(res::pods)),
      sets_(use(res::replicasets)),
      deployments_(use(res::deployments)),
      stateful_sets_(use(res::statefulsets)) {
  pods_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    for (const auto& budget : budgets_.list_namespace(ns_of(now ? *now : *old))) {
      auto selector = api::LabelSelector::from_object(json::at(*budget, "spec", "selector"));
      if (!selector) continue;
      if ((old && selector->matches(labels_of(*old))) || (now && selector->matches(labels_of(*now))))
        queue_.add(client::key_of(*budget));
    }
  });
  for (auto* informer : {&sets_, &deployments_, &stateful_sets_})
    informer->on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
      if (old && now && json::at(*old, "spec", "replicas") == json::at(*now, "spec", "replicas")) return;
      for (const auto& budget : budgets_.list_namespace(ns_of(now ? *now : *old))) queue_.add(client::key_of(*budget));
    });
}

// What the pods' owners ask for: percentages count against that, not against what happens to run.
std::int64_t DisruptionController::expected_pods(const std::vector<ObjectPtr>& pods) const {
  std::int64_t expected = 0;
  std::set<std::string> counted;
  for (const auto& pod : pods) {
    const auto* ref = controller_of(*pod);
    if (!ref) {
      ++expected;
      continue;
    }
    auto kind = json::str(*ref, "kind");
    std::string key = ns_of(*pod) + "/" + std::string(json::str(*ref, "name"));
    ObjectPtr owner = kind == "ReplicaSet" ? sets_.get(key) : kind == "StatefulSet" ? stateful_sets_.get(key) : nullptr;
    if (owner && kind == "ReplicaSet")
      if (const auto* above = controller_of(*owner))
        if (auto deployment = deployments_.get(ns_of(*pod) + "/" + std::string(json::str(*above, "name"))))
          owner = deployment;
    if (!owner)
      ++expected;
    else if (counted.insert(uid_of(*owner)).second)
      expected += wanted_replicas_of(*owner);
  }
  return expected;
}

Task<Result<void>> DisruptionController::reconcile(std::string key) {
  ObjectPtr budget = budgets_.get(key);
  if (!budget) co_return Result<void>();
  auto selector = api::LabelSelector::from_object(json::at(*budget, "spec", "selector"));
  if (!selector) co_return Result<void>();
  WallTime now = context_.now();
  std::vector<ObjectPtr> pods;
  for (auto& pod : pods_.list_namespace(ns_of(*budget)))
    if (selector->matches(labels_of(*pod)) && !pod_finished(*pod)) pods.push_back(std::move(pod));

  // Evictions granted a moment ago count as done until the pod's deletion is seen.
  json::Object disrupted;
  for (const auto& entry : json::map(*budget, "status", "disruptedPods")) {
    auto pod = pods_.get(ns_of(*budget) + "/" + std::string(entry.key()));
    auto since = time_at(entry.value());
    if (!pod || is_terminating(*pod) || !since || now - *since > kEvictionTimeout) continue;
    disrupted[entry.key()] = entry.value();
    queue_.add_after(key, *since + kEvictionTimeout - now + std::chrono::seconds(1));
  }
  std::int64_t healthy = std::count_if(pods.begin(), pods.end(), [&](const ObjectPtr& pod) {
    return pod_ready(*pod) && !is_terminating(*pod) && !disrupted.contains(name_of(*pod));
  });
  std::int64_t expected = std::ssize(pods), desired = 0;
  const auto& max_unavailable = json::at(*budget, "spec", "maxUnavailable");
  const auto& min_available = json::at(*budget, "spec", "minAvailable");
  if (!max_unavailable.is_null()) {
    expected = expected_pods(pods);
    desired = std::max<std::int64_t>(0, expected - scaled_value(max_unavailable, expected, true));
  } else {
    if (min_available.is_string()) expected = expected_pods(pods);
    desired = scaled_value(min_available, expected, true);
  }
  std::int64_t allowed = expected == 0 ? 0 : std::max<std::int64_t>(0, healthy - desired);

  json::Value status = json::Object{{"currentHealthy", healthy},
                                    {"desiredHealthy", desired},
                                    {"disruptionsAllowed", allowed},
                                    {"expectedPods", expected},
                                    {"observedGeneration", json::num(*budget, "metadata", "generation")}};
  if (!disrupted.empty()) json::set(status, std::move(disrupted), "disruptedPods");
  json::Array conditions = json::list(*budget, "status", "conditions");
  auto condition = make_condition("DisruptionAllowed", allowed > 0 ? "True" : "False",
                                  allowed > 0 ? "SufficientPods" : "InsufficientPods", "", now);
  json::set(condition, json::num(*budget, "metadata", "generation"), "observedGeneration");
  put_condition(conditions, std::move(condition));
  json::set(status, std::move(conditions), "conditions");
  if (status == json::at(*budget, "status")) co_return Result<void>();
  json::Value next = *budget;
  json::set(next, std::move(status), "status");
  auto written = co_await write_status(context_, budgets_, res::poddisruptionbudgets, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

}  // namespace lab::controllers
