#include "orchestrator/scheduler/node_info.h"

#include <algorithm>

namespace lab::scheduler {

namespace {

bool has_terms(const PodInfo& pod) {
  return !pod.affinity.required.empty() || !pod.affinity.preferred.empty() || !pod.anti_affinity.required.empty() ||
         !pod.anti_affinity.preferred.empty();
}

}  // namespace

void NodeInfo::set_node(client::ObjectPtr node) {
  node_ = std::move(node);
  taints_.clear();
  images_.clear();
  if (!node_) return;
  taints_ = parse_taints(*node_);
  unschedulable_ = json::flag(*node_, "spec", "unschedulable");
  const auto& allocatable = json::map(*node_, "status", "allocatable");
  allocatable_ = parse_resources(allocatable);
  allowed_pods_ = parse_amount(json::at(*node_, "status", "allocatable", "pods"), false);
  for (const auto& image : json::list(*node_, "status", "images"))
    for (const auto& name : json::list(image, "names"))
      images_.emplace(json::as_str(name), json::num(image, "sizeBytes"));
}

void NodeInfo::add_pod(PodInfoPtr pod) {
  requested_.add(pod->requests);
  requested_or_defaults_.add(pod->requests_or_defaults);
  used_ports_.insert(used_ports_.end(), pod->host_ports.begin(), pod->host_ports.end());
  if (has_terms(*pod)) pods_with_affinity_.push_back(pod);
  pods_.push_back(std::move(pod));
}

bool NodeInfo::remove_pod(const std::string& key) {
  auto is_it = [&](const PodInfoPtr& p) { return p->key == key; };
  auto it = std::find_if(pods_.begin(), pods_.end(), is_it);
  if (it == pods_.end()) return false;
  requested_.subtract((*it)->requests);
  requested_or_defaults_.subtract((*it)->requests_or_defaults);
  for (const auto& port : (*it)->host_ports)
    if (auto used = std::find(used_ports_.begin(), used_ports_.end(), port); used != used_ports_.end())
      used_ports_.erase(used);
  std::erase_if(pods_with_affinity_, is_it);
  std::swap(*it, pods_.back());
  pods_.pop_back();
  return true;
}

}  // namespace lab::scheduler
