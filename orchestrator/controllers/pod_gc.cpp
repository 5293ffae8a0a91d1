#include "orchestrator/controllers/pod_gc.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

PodGcController::PodGcController(Context& context, Options options)
    : context_(context),
      options_(options),
      pods_(context.informers.of(res::pods)),
      nodes_(context.informers.of(res::nodes)) {}

void PodGcController::start(Scope& scope) {
  scope.spawn("pod-gc", run(scope.token()));
}

Task<void> PodGcController::run(std::stop_token stop) {
  if (!co_await pods_.wait_synced(stop) || !co_await nodes_.wait_synced(stop)) co_return;
  do co_await round();
  while (co_await sleep_for(options_.period, stop));
}

Task<void> PodGcController::round() {
  TimePoint now = context_.loop.now();
  std::set<std::string> missing;
  std::vector<ObjectPtr> finished;
  for (const auto& pod : pods_.list()) {
    std::string node(json::str(*pod, "spec", "nodeName"));
    if (node.empty()) {
      if (is_terminating(*pod)) co_await force_delete(pod, false, "it was never scheduled");
      continue;
    }
    if (!nodes_.get(node)) {
      missing.insert(node);
      auto since = missing_nodes_.try_emplace(node, now).first->second;
      if (now - since < options_.quarantine) continue;
      auto live = co_await context_.client.get(res::nodes, "", node);
      if (!live && live.error().code == Code::kNotFound) co_await force_delete(pod, true, "its node no longer exists");
      continue;
    }
    if (pod_finished(*pod) && !is_terminating(*pod)) finished.push_back(pod);
  }
  std::erase_if(missing_nodes_, [&](const auto& entry) { return !missing.contains(entry.first); });
  if (finished.size() <= options_.finished_threshold) co_return;
  std::sort(finished.begin(), finished.end(),
            [](const auto& a, const auto& b) { return created_at(*a) < created_at(*b); });
  finished.resize(finished.size() - options_.finished_threshold);
  for (const auto& pod : finished) co_await force_delete(pod, false, "there are too many finished pods");
}

Task<void> PodGcController::force_delete(ObjectPtr pod, bool fail_first, std::string message) {
  log::info("removing a pod", {{"pod", client::key_of(*pod)}, {"why", message}});
  if (fail_first && !pod_finished(*pod)) {
    // Its owner must see that it did not succeed.
    json::Value next = *pod;
    json::set(next, "Failed", "status", "phase");
    json::Array conditions = json::list(next, "status", "conditions");
    put_condition(conditions, make_condition("DisruptionTarget", "True", "DeletionByPodGC",
                                             "PodGC: node no longer exists", context_.now()));
    json::set(next, std::move(conditions), "status", "conditions");
    (void)co_await write_status(context_, pods_, res::pods, std::move(next));
  }
  client::DeleteOptions options;
  options.grace_seconds = 0;
  if (auto done = co_await delete_observed(context_, pods_, res::pods, pod, options); !done)
    log::warn("pod not removed", {{"pod", client::key_of(*pod)}, {"why", done.error().text()}});
}

}  // namespace lab::controllers
