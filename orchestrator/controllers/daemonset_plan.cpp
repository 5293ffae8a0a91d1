#include "orchestrator/controllers/daemonset_plan.h"

#include <algorithm>

#include "orchestrator/controllers/node_fit.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/revision_history.h"

namespace lab::controllers {

using client::ObjectPtr;

namespace {

const std::vector<ObjectPtr>& on_node(const PodsByNode& pods, const ObjectPtr& node) {
  static const std::vector<ObjectPtr> none;
  auto it = pods.find(name_of(*node));
  return it == pods.end() ? none : it->second;
}

bool is_current(const json::Value& pod, const std::string& hash) {
  return label_of(pod, kRevisionHash) == hash;
}

bool is_available(const json::Value& pod, const json::Value& set, WallTime now) {
  auto at = pod_available_at(pod, json::num(set, "spec", "minReadySeconds"));
  return at && *at <= now;
}

bool may_surge(const json::Value& set) {
  const auto& surge = json::at(set, "spec", "updateStrategy", "rollingUpdate", "maxSurge");
  return json::str(set, "spec", "updateStrategy", "type") != "OnDelete" && scaled_value(surge, 100, true) > 0;
}

json::Value daemon_spec(const json::Value& set) {
  json::Value spec = json::at(set, "spec", "template", "spec");
  add_daemon_tolerations(spec);
  return spec;
}

// The newest pod with the current template and the newest with an older one, of those that are not going already.
struct Pair {
  ObjectPtr current, old;
};
Pair pair_on(const std::vector<ObjectPtr>& pods, const std::string& hash) {
  Pair pair;
  for (const auto& pod : pods) {
    if (is_terminating(*pod)) continue;
    (is_current(*pod, hash) ? pair.current : pair.old) = pod;
  }
  return pair;
}

}  // namespace

DaemonPlan plan_daemons(const json::Value& set, const std::vector<ObjectPtr>& nodes, const PodsByNode& pods,
                        const std::string& hash) {
  DaemonPlan plan;
  const auto spec = daemon_spec(set);
  std::map<std::string, bool> known;
  for (const auto& node : nodes) {
    known[name_of(*node)] = true;
    auto fit = daemon_fit(spec, *node);
    const auto& here = on_node(pods, node);
    std::vector<ObjectPtr> running;
    bool finished = false;
    for (const auto& pod : here) {
      if (is_terminating(*pod)) {
        finished = true;  // its place is free once it is gone
        continue;
      }
      if (!fit.stay) {
        plan.remove.push_back(pod);
      } else if (pod_finished(*pod)) {
        (json::str(*pod, "status", "phase") == "Failed" ? plan.failed : plan.remove).push_back(pod);
        finished = true;
      } else {
        running.push_back(pod);
      }
    }
    if (fit.start && running.empty() && !finished) plan.start.push_back(name_of(*node));
    // One is enough, or one of each template while a surge replaces it.
    bool surge = may_surge(set);
    std::vector<ObjectPtr> current, old;
    for (const auto& pod : running) (surge && is_current(*pod, hash) ? current : old).push_back(pod);
    for (auto* group : {&current, &old})
      for (std::size_t i = 1; i < group->size(); ++i) plan.remove.push_back((*group)[i]);
  }
  for (const auto& [node, there] : pods)
    if (!known.contains(node))
      for (const auto& pod : there)
        // Bound pods of a vanished node are the pod garbage collector's business.
        if (json::str(*pod, "spec", "nodeName").empty() && !is_terminating(*pod)) plan.remove.push_back(pod);
  return plan;
}

DaemonPlan plan_rolling_update(const json::Value& set, const std::vector<ObjectPtr>& nodes, const PodsByNode& pods,
                               const std::string& hash, WallTime now) {
  DaemonPlan plan;
  const auto& rolling = json::at(set, "spec", "updateStrategy", "rollingUpdate");
  const auto spec = daemon_spec(set);
  auto wanted =
      std::count_if(nodes.begin(), nodes.end(), [&](const ObjectPtr& node) { return daemon_fit(spec, *node).start; });
  std::int64_t surge = scaled_value(json::at(rolling, "maxSurge"), wanted, true);
  std::int64_t unavailable =
      json::has(rolling, "maxUnavailable") ? scaled_value(json::at(rolling, "maxUnavailable"), wanted, true) : 1;
  if (surge == 0 && unavailable == 0) unavailable = 1;
  std::int64_t missing = 0, surging = 0;
  std::vector<ObjectPtr> candidates;
  std::vector<std::string> surge_candidates;
  for (const auto& node : nodes) {
    if (!daemon_fit(spec, *node).start) continue;
    auto [current, old] = pair_on(on_node(pods, node), hash);
    if (surge > 0) {
      if (!old) continue;
      if (!is_available(*old, set, now)) {
        // Broken already: no need to keep it.
        plan.remove.push_back(old);
      } else if (!current) {
        surge_candidates.push_back(name_of(*node));
      } else {
        ++surging;
        if (is_available(*current, set, now)) plan.remove.push_back(old);
      }
      continue;
    }
    if (current) {
      missing += !is_available(*current, set, now);
    } else if (!old) {
      ++missing;
    } else if (!is_available(*old, set, now)) {
      ++missing;
      plan.remove.push_back(old);
    } else {
      candidates.push_back(old);
    }
  }
  for (std::int64_t i = 0; i < std::min<std::int64_t>(unavailable - missing, std::ssize(candidates)); ++i)
    plan.remove.push_back(candidates[static_cast<std::size_t>(i)]);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(surge - surging, std::ssize(surge_candidates)); ++i)
    plan.start.push_back(surge_candidates[static_cast<std::size_t>(i)]);
  return plan;
}

DaemonStatus daemon_status(const json::Value& set, const std::vector<ObjectPtr>& nodes, const PodsByNode& pods,
                           const std::string& hash, WallTime now) {
  std::int64_t desired = 0, current = 0, misscheduled = 0, ready = 0, updated = 0, available = 0;
  DaemonStatus out;
  const auto spec = daemon_spec(set);
  for (const auto& node : nodes) {
    bool wanted = daemon_fit(spec, *node).start;
    const auto& here = on_node(pods, node);
    desired += wanted;
    if (here.empty()) continue;
    if (!wanted) {
      ++misscheduled;
      continue;
    }
    ++current;
    // A surge has two: the newer one tells.
    auto pair = pair_on(here, hash);
    const auto& pod = pair.current ? pair.current : pair.old ? pair.old : here.back();
    if (pod_ready(*pod)) {
      ++ready;
      auto at = pod_available_at(*pod, json::num(set, "spec", "minReadySeconds"));
      if (at && *at <= now)
        ++available;
      else if (at && (!out.next_available || *at < *out.next_available))
        out.next_available = at;
    }
    updated += is_current(*pod, hash);
  }
  out.status = json::Object{{"desiredNumberScheduled", desired},
                            {"currentNumberScheduled", current},
                            {"numberMisscheduled", misscheduled},
                            {"numberReady", ready},
                            {"observedGeneration", json::num(set, "metadata", "generation")}};
  if (updated > 0) json::set(out.status, updated, "updatedNumberScheduled");
  if (available > 0) json::set(out.status, available, "numberAvailable");
  if (desired > available) json::set(out.status, desired - available, "numberUnavailable");
  return out;
}

}  // namespace lab::controllers
