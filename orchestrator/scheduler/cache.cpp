#include "orchestrator/scheduler/cache.h"

#include <algorithm>

namespace lab::scheduler {

NodeInfo& Cache::node(const std::string& name) {
  auto& info = infos_[name];
  if (!info) info = std::make_unique<NodeInfo>(name);
  return *info;
}

void Cache::count_images(const NodeInfo& info, int by) {
  for (const auto& [image, _] : info.images()) {
    auto& count = image_nodes_[image];
    count += by;
    if (count == 0) image_nodes_.erase(image);
  }
}

void Cache::refresh() {
  nodes_.clear();
  for (const auto& [_, info] : infos_)
    if (info->exists()) nodes_.push_back(info.get());
  std::sort(nodes_.begin(), nodes_.end(), [](const auto* a, const auto* b) { return a->name() < b->name(); });
}

void Cache::set_node(client::ObjectPtr object) {
  NodeInfo& info = node(std::string(json::str(*object, "metadata", "name")));
  bool fresh = !info.exists();
  count_images(info, -1);
  info.set_node(std::move(object));
  count_images(info, +1);
  if (fresh) refresh();
}

void Cache::remove_node(const std::string& name) {
  auto it = infos_.find(name);
  if (it == infos_.end()) return;
  count_images(*it->second, -1);
  it->second->set_node(nullptr);
  drop_if_empty(name);
  refresh();
}

void Cache::drop_if_empty(const std::string& name) {
  auto it = infos_.find(name);
  if (it != infos_.end() && !it->second->exists() && it->second->pods().empty()) infos_.erase(it);
}

void Cache::place(PodInfoPtr pod, bool assumed) {
  remove_pod(pod->key);
  node(pod->node_name).add_pod(pod);
  std::string key = pod->key;
  pods_[key] = {std::move(pod), assumed};
}

void Cache::set_pod(PodInfoPtr pod) {
  place(std::move(pod), false);
}
void Cache::assume(PodInfoPtr pod) {
  place(std::move(pod), true);
}

bool Cache::remove_pod(const std::string& key) {
  auto it = pods_.find(key);
  if (it == pods_.end()) return false;
  std::string name = it->second.pod->node_name;
  node(name).remove_pod(key);
  pods_.erase(it);
  drop_if_empty(name);
  return true;
}

bool Cache::forget(const std::string& key) {
  return is_assumed(key) && remove_pod(key);
}

bool Cache::is_assumed(const std::string& key) const {
  auto it = pods_.find(key);
  return it != pods_.end() && it->second.assumed;
}

PodInfoPtr Cache::find_pod(const std::string& key) const {
  auto it = pods_.find(key);
  return it == pods_.end() ? nullptr : it->second.pod;
}

const NodeInfo* Cache::find_node(const std::string& name) const {
  auto it = infos_.find(name);
  return it == infos_.end() || !it->second->exists() ? nullptr : it->second.get();
}

std::size_t Cache::nodes_with_image(const std::string& image) const {
  auto it = image_nodes_.find(image);
  return it == image_nodes_.end() ? 0 : it->second;
}

}  // namespace lab::scheduler
