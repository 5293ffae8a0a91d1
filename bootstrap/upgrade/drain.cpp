#include "bootstrap/upgrade/drain.h"

namespace lab::bootstrap::upgrade {

namespace res = client::res;

namespace {

bool stays(const json::Value& pod) {
  if (json::has(pod, "metadata", "annotations", "kubernetes.io/config.mirror")) return true;
  for (const auto& owner : json::list(pod, "metadata", "ownerReferences"))
    if (json::str(owner, "kind") == "DaemonSet" && json::flag(owner, "controller")) return true;
  const auto phase = json::str(pod, "status", "phase");
  return phase == "Succeeded" || phase == "Failed";
}

Result<void> evict(Cluster& cluster, const json::Value& pod) {
  const std::string ns(json::str(pod, "metadata", "namespace")), name(json::str(pod, "metadata", "name"));
  json::Value eviction = json::Object{
      {"apiVersion", "policy/v1"}, {"kind", "Eviction"}, {"metadata", json::Object{{"name", name}, {"namespace", ns}}}};
  auto done = cluster.call<json::Value>(
      [&](client::Client& c) { return c.create_sub(res::pods, ns, name, "eviction", eviction); });
  // A budget that holds it back, and one that is gone already, are for the next look.
  if (done || done.error().code == Code::kTooManyRequests || done.error().code == Code::kNotFound) return {};
  return std::unexpected(std::move(done).error().with_context("evict pod " + ns + "/" + name));
}

Result<void> mark(Cluster& cluster, const std::string& node, bool unschedulable) {
  json::Value patch = json::Object{{"spec", json::Object{{"unschedulable", unschedulable}}}};
  LAB_CHECK(cluster.patch(res::nodes, "", node, client::PatchType::kStrategic, std::move(patch)));
  return {};
}

}  // namespace

Result<bool> cordon(Cluster& cluster, const std::string& node) {
  LAB_TRY(auto now, cluster.get(res::nodes, "", node));
  if (json::flag(now, "spec", "unschedulable")) return false;
  LAB_CHECK(mark(cluster, node, true));
  return true;
}

Result<void> uncordon(Cluster& cluster, const std::string& node) {
  return mark(cluster, node, false);
}

Result<void> drain(Cluster& cluster, const std::string& node, std::chrono::seconds limit,
                   const std::function<void(const std::string&)>& progress) {
  client::ListOptions here;
  here.field_selector = "spec.nodeName=" + node;
  std::optional<Error> refused;
  auto left = [&]() -> Result<void> {
    LAB_TRY(auto pods, cluster.list(res::pods, "", here));
    std::string names;
    for (const auto& pod : json::list(pods, "items")) {
      if (stays(pod)) continue;
      names += (names.empty() ? "" : ", ") + std::string(json::str(pod, "metadata", "name"));
      if (json::has(pod, "metadata", "deletionTimestamp") || refused) continue;
      if (auto r = evict(cluster, pod); !r) refused = std::move(r).error();
    }
    if (refused) return {};
    return names.empty() ? Result<void>() : fail(Code::kUnavailable, "still there: " + names);
  };
  LAB_CHECK(wait_until(limit, "an empty node " + node,
                       "see what holds the pods back: kubectl get pdb -A; or go on without --drain", left, progress));
  if (refused) return std::unexpected(std::move(*refused));
  return {};
}

}  // namespace lab::bootstrap::upgrade
