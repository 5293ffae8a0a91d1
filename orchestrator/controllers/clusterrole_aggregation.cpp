#include "orchestrator/controllers/clusterrole_aggregation.h"

#include <algorithm>

#include "orchestrator/api/selector.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

ClusterRoleAggregationController::ClusterRoleAggregationController(Context& context)
    : QueueController(context, "clusterrole-aggregation", 1), roles_(use(res::clusterroles)) {
  roles_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    // Any role may be selected by any aggregating one; there are few of these.
    for (const auto& role : roles_.list())
      if (json::has(*role, "aggregationRule")) queue_.add(name_of(*role));
  });
}

Task<Result<void>> ClusterRoleAggregationController::reconcile(std::string name) {
  ObjectPtr role = roles_.get(name);
  if (!role || !json::has(*role, "aggregationRule")) co_return Result<void>();
  auto all = roles_.list();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return name_of(*a) < name_of(*b); });
  json::Array rules;
  for (const auto& chosen : json::list(*role, "aggregationRule", "clusterRoleSelectors")) {
    auto selector = api::LabelSelector::from_object(chosen);
    if (!selector) co_return std::unexpected(std::move(selector).error());
    for (const auto& other : all) {
      if (name_of(*other) == name || !selector->matches(labels_of(*other))) continue;
      for (const auto& rule : json::list(*other, "rules"))
        if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
    }
  }
  if (rules == json::list(*role, "rules")) co_return Result<void>();
  json::Value patch;
  json::set(patch, std::move(rules), "rules");
  auto written =
      co_await context_.client.patch(res::clusterroles, "", name, client::PatchType::kMerge, std::move(patch));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  if (written) roles_.observe(std::move(*written));
  co_return Result<void>();
}

}  // namespace lab::controllers
