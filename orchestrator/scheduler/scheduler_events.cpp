// What the informers tell: cache and queue follow, and what may help waiting pods is passed on to the queue.
#include "orchestrator/scheduler/scheduler_impl.h"

namespace lab::scheduler {

namespace {

using namespace happened;

bool same(const json::Value& a, const json::Value& b, std::string_view first, std::string_view second) {
  return json::at(a, first, second) == json::at(b, first, second);
}

bool is_placed(const json::Value& pod) {
  return !json::str(pod, "spec", "nodeName").empty();
}

EventMask node_difference(const json::Value& old, const json::Value& now) {
  EventMask out = 0;
  if (!same(old, now, "status", "allocatable")) out |= kNodeResources;
  if (!same(old, now, "metadata", "labels")) out |= kNodeLabels;
  if (!same(old, now, "spec", "taints") || !same(old, now, "spec", "unschedulable")) out |= kNodeTaints;
  return out;
}

}  // namespace

void Scheduler::Impl::watch_cluster() {
  cluster.pods.on_change([this](const auto& old, const auto& now) { pod_changed(old, now); });
  cluster.nodes.on_change([this](const auto& old, const auto& now) { node_changed(old, now); });
  auto volumes = [this](const auto&, const auto&) {
    claims_changed.notify();
    tell(kVolumes);
  };
  cluster.claims.on_change(volumes);
  cluster.volumes.on_change(volumes);
  cluster.storage_classes.on_change(volumes);
}

void Scheduler::Impl::tell(EventMask what) {
  if (what == 0) return;
  queue.happened(what, loop.now());
  wake.notify();
}

bool Scheduler::Impl::is_ours(const json::Value& pod) const {
  auto name = json::str(pod, "spec", "schedulerName");
  return (name.empty() ? std::string_view("default-scheduler") : name) == options.name;
}

void Scheduler::Impl::pod_changed(const client::ObjectPtr& old, const client::ObjectPtr& now) {
  bool replaced = old && now && !same(*old, *now, "metadata", "uid");
  if (old && (!now || replaced)) pod_gone(*old);
  if (!now) return;
  if (is_terminal(*now)) return pod_gone(*now);
  auto pod = make_pod_info(now);
  const auto& before = replaced ? client::ObjectPtr() : old;
  if (!pod->node_name.empty())
    pod_placed(before, std::move(pod));
  else
    pod_waits(before, std::move(pod));
}

void Scheduler::Impl::pod_gone(const json::Value& object) {
  std::string key = client::key_of(object);
  queue.remove(key);
  nominations.remove(key);
  if (cache.remove_pod(key)) tell(kPodGone);
}

void Scheduler::Impl::pod_placed(const client::ObjectPtr& old, PodInfoPtr pod) {
  queue.remove(pod->key);
  nominations.remove(pod->key);
  EventMask what = 0;
  if (!old || !is_placed(*old))
    what = kPodPlaced;
  else if (!same(*old, *pod->object, "metadata", "labels") || json::at(*old, "spec") != json::at(*pod->object, "spec"))
    what = kPodChanged;
  cache.set_pod(std::move(pod));
  tell(what);
}

void Scheduler::Impl::pod_waits(const client::ObjectPtr& old, PodInfoPtr pod) {
  if (!is_ours(*pod->object)) return;
  if (pod->gated || pod->terminating) return queue.remove(pod->key);
  if (cache.is_assumed(pod->key)) return;  // being bound; the news of that follows
  if (!pod->nominated_node.empty() && nominations.node_of(pod->key).empty()) nominations.set(pod, pod->nominated_node);
  bool relevant = !old || json::at(*old, "spec") != json::at(*pod->object, "spec") ||
                  !same(*old, *pod->object, "metadata", "labels");
  if (relevant || !queue.has(pod->key))
    queue.add(std::move(pod), loop.now());
  else
    queue.refresh(std::move(pod));
  wake.notify();
}

void Scheduler::Impl::node_changed(const client::ObjectPtr& old, const client::ObjectPtr& now) {
  if (!now) {
    cache.remove_node(std::string(json::str(*old, "metadata", "name")));
    return;
  }
  cache.set_node(now);
  tell(old ? node_difference(*old, *now) : kNodeAdded);
}

}  // namespace lab::scheduler
