// NodeInfo: a node and what its pods occupy: all that filters and scores look at. Copies are cheap enough for the
// what-if runs of preemption.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/scheduler/pod_info.h"

namespace lab::scheduler {

class NodeInfo {
 public:
  explicit NodeInfo(std::string name) : name_(std::move(name)) {}

  void set_node(client::ObjectPtr node);  // null: the node is gone, its pods are not yet
  void add_pod(PodInfoPtr pod);
  bool remove_pod(const std::string& key);  // false when it is not here

  bool exists() const { return node_ != nullptr; }
  const std::string& name() const { return name_; }
  const json::Object& labels() const { return node_ ? json::map(*node_, "metadata", "labels") : json::empty_object(); }
  const client::ObjectPtr& object() const { return node_; }
  const std::vector<Taint>& taints() const { return taints_; }
  bool unschedulable() const { return unschedulable_; }
  const Resources& allocatable() const { return allocatable_; }
  std::int64_t allowed_pods() const { return allowed_pods_; }
  const std::map<std::string, std::int64_t>& images() const { return images_; }  // name to bytes

  const std::vector<PodInfoPtr>& pods() const { return pods_; }
  const Resources& requested() const { return requested_; }
  const Resources& requested_or_defaults() const { return requested_or_defaults_; }
  const std::vector<HostPort>& used_ports() const { return used_ports_; }
  // Pods with affinity or anti-affinity terms of their own; few, so that scans stay short.
  const std::vector<PodInfoPtr>& pods_with_affinity() const { return pods_with_affinity_; }

 private:
  std::string name_;
  client::ObjectPtr node_;
  std::vector<Taint> taints_;
  bool unschedulable_ = false;
  Resources allocatable_;
  std::int64_t allowed_pods_ = 0;
  std::map<std::string, std::int64_t> images_;
  std::vector<PodInfoPtr> pods_, pods_with_affinity_;
  Resources requested_, requested_or_defaults_;
  std::vector<HostPort> used_ports_;
};

}  // namespace lab::scheduler
