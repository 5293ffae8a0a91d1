#include "orchestrator/controllers/node_ipam.h"

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

static std::vector<std::string> cidrs_of(const json::Value& node) {
  std::vector<std::string> out;
  for (const auto& cidr : json::list(node, "spec", "podCIDRs")) out.emplace_back(json::as_str(cidr));
  if (out.empty())
    if (auto cidr = json::str(node, "spec", "podCIDR"); !cidr.empty()) out.emplace_back(cidr);
  return out;
}

// One worker: what is being given away must not be given twice.
NodeIpamController::NodeIpamController(Context& context, std::vector<CidrSet> sets)
    : QueueController(context, "node-ipam", 1), nodes_(use(res::nodes)), sets_(std::move(sets)) {
  nodes_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (!now)
      for (const auto& cidr : cidrs_of(*old))
        for (auto& set : sets_) set.release(cidr);
    if (now)
      for (const auto& cidr : cidrs_of(*now))
        for (auto& set : sets_) set.occupy(cidr);
    if (now && cidrs_of(*now).empty()) queue_.add(name_of(*now));
  });
}

Task<Result<void>> NodeIpamController::reconcile(std::string name) {
  ObjectPtr node = nodes_.get(name);
  if (!node || is_terminating(*node) || !cidrs_of(*node).empty()) co_return Result<void>();
  json::Array cidrs;
  auto give_back = [&] {
    for (const auto& cidr : cidrs)
      for (auto& set : sets_) set.release(json::as_str(cidr));
  };
  for (auto& set : sets_) {
    auto cidr = set.allocate();
    if (!cidr) {
      give_back();
      context_.events.event(*node, "Warning", "CIDRNotAvailable", "Node " + name + " status is now: CIDRNotAvailable");
      co_return fail(Code::kUnavailable, "no pod network is left for node " + name,
                     "give the cluster a larger pod network, or nodes a smaller share of it");
    }
    cidrs.push_back(json::Value(*cidr));
  }
  json::Value patch;
  json::set(patch, uid_of(*node), "metadata", "uid");
  json::set(patch, cidrs.at(0), "spec", "podCIDR");
  json::set(patch, cidrs, "spec", "podCIDRs");
  auto patched = co_await context_.client.patch(res::nodes, "", name, client::PatchType::kStrategic, std::move(patch));
  if (!patched) {
    // After a timeout nobody knows whether it was written; the informer will tell, and occupy it again.
    give_back();
    if (patched.error().code == Code::kNotFound) co_return Result<void>();
    co_return std::unexpected(std::move(patched).error());
  }
  nodes_.observe(std::move(*patched));
  co_return Result<void>();
}

}  // namespace lab::controllers
