#include "bootstrap/local/steps.h"

#include "bootstrap/local/kubeconfig_merge.h"
#include "bootstrap/local/lab.h"
#include "orchestrator/api/time.h"

namespace lab::bootstrap {

namespace res = client::res;

namespace {

constexpr auto kReadyLimit = std::chrono::seconds(120), kMachinesReadyLimit = std::chrono::seconds(600);
constexpr const char* kLeaseNamespace = "kube-node-lease";

// Empty when the node is Ready.
std::string state_of(const json::Value& node) {
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready")
      return json::str(c, "status") == "True" ? "" : std::string(json::str(c, "message"));
  return "not ready";
}

// A status has seconds, a Lease microseconds.
bool heard_since(const json::Value& node, const json::Array& leases, std::chrono::system_clock::time_point since) {
  bool status = false, lease = false;
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready")
      if (auto at = api::parse_time(json::str(c, "lastHeartbeatTime")))
        status = *at >= std::chrono::floor<std::chrono::seconds>(since);
  for (const auto& l : leases)
    if (json::str(l, "metadata", "name") == json::str(node, "metadata", "name"))
      if (auto at = api::parse_time(json::str(l, "spec", "renewTime"))) lease = *at >= since;
  return status && lease;
}

}  // namespace

Result<void> wait_nodes_ready(Cluster& cluster, const Profile& p, Progress& progress, const Lives& lives) {
  auto probe = [&]() -> Result<void> {
    LAB_TRY(auto list, cluster.list(res::nodes));
    json::Value leases;
    if (!lives.since.empty()) {
      LAB_TRY(leases, cluster.list(res::leases, kLeaseNamespace));
    }
    std::string missing;
    for (const auto& want : p.nodes) {
      std::string state = "absent";
      for (const auto& node : json::list(list, "items")) {
        if (json::str(node, "metadata", "name") != want.name) continue;
        state = state_of(node);
        const auto life = lives.since.find(want.name);
        if (state.empty() && life != lives.since.end() && !heard_since(node, json::list(leases, "items"), life->second))
          state = "not heard of since its start";
      }
      if (!state.empty()) missing += (missing.empty() ? "" : "; ") + want.name + ": " + state;
    }
    if (missing.empty()) return {};
    return fail(Code::kUnavailable, missing);
  };
  return wait_until(p.driver == "namespace" ? kReadyLimit : kMachinesReadyLimit, "Ready on all nodes",
                    "see lab kubectl describe node, and lab logs --node NODE lab-agent", probe,
                    [&](const std::string& s) { progress.state(s); });
}

Result<void> merge_user_kubeconfig(Profile& p, NodeDriver& driver, Progress& progress) {
  if (p.network.isolated()) return {};   // its addresses lead nowhere from here, or to another lab
  LAB_TRY(auto admin, admin_kubeconfig(p, driver));
  auto file = user_kubeconfig();
  auto made = merge_context(file, p.name, admin);
  if (!made) {
    progress.warn(made.error().text());
    return {};
  }
  p.kubeconfig_made = p.kubeconfig_made || *made;
  p.kubeconfig = file.path;
  return save_profile(p);
}

Result<void> refuse_paused(NodeDriver& driver, const Profile& p) {
  LAB_TRY(bool still, driver.paused());
  if (!still) return {};
  return fail(Code::kConflict, "lab \"" + p.name + "\" is paused", "let it go on: lab unpause" + profile_flag(p.name));
}

}  // namespace lab::bootstrap
