#include "orchestrator/controllers/owner_graph.h"

#include <algorithm>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

const GraphNode* OwnerGraph::find(const std::string& uid) const {
  auto it = nodes_.find(uid);
  return it == nodes_.end() ? nullptr : &it->second;
}

void OwnerGraph::drop_if_unused(const std::string& uid) {
  auto it = nodes_.find(uid);
  if (it != nodes_.end() && !it->second.known && it->second.dependents.empty()) nodes_.erase(it);
}

void OwnerGraph::unlink(GraphNode& node) {
  for (const auto& owner : node.owners) {
    auto it = nodes_.find(owner.uid);
    if (it == nodes_.end()) continue;
    it->second.dependents.erase(node.id.uid);
    drop_if_unused(owner.uid);
  }
  node.owners.clear();
}

std::vector<std::string> OwnerGraph::put(const json::Value& object) {
  std::string uid = uid_of(object);
  GraphNode& node = nodes_[uid];
  std::vector<std::string> affected{uid};
  for (const auto& owner : node.owners) affected.push_back(owner.uid);  // may have waited for this one
  unlink(node);
  node.known = true;
  node.id = {std::string(json::str(object, "apiVersion")), std::string(json::str(object, "kind")), ns_of(object),
             name_of(object), uid};
  bool was_deleting_dependents = node.deleting_dependents;
  node.deleting = is_terminating(object);
  node.deleting_dependents = node.deleting && has_finalizer(object, "foregroundDeletion");
  node.orphaning = node.deleting && has_finalizer(object, "orphan");
  for (const auto& ref : json::list(object, "metadata", "ownerReferences")) {
    OwnerRef owner{std::string(json::str(ref, "apiVersion")), std::string(json::str(ref, "kind")),
                   std::string(json::str(ref, "name")), std::string(json::str(ref, "uid")),
                   json::flag(ref, "blockOwnerDeletion")};
    if (owner.uid.empty()) continue;
    nodes_[uid].owners.push_back(owner);
    GraphNode& parent = nodes_[owner.uid];
    if (!parent.known) parent.id = {owner.api_version, owner.kind, ns_of(object), owner.name, owner.uid};
    parent.dependents.insert(uid);
    affected.push_back(owner.uid);
  }
  const GraphNode& self = nodes_[uid];
  if (self.deleting_dependents && !was_deleting_dependents)
    affected.insert(affected.end(), self.dependents.begin(), self.dependents.end());
  return affected;
}

std::vector<std::string> OwnerGraph::remove(const std::string& uid) {
  auto it = nodes_.find(uid);
  if (it == nodes_.end()) return {};
  std::vector<std::string> affected(it->second.dependents.begin(), it->second.dependents.end());
  for (const auto& owner : it->second.owners) affected.push_back(owner.uid);
  unlink(it->second);
  // Dependents keep pointing at it, as at any owner that does not exist.
  it->second.known = it->second.deleting = it->second.deleting_dependents = it->second.orphaning = false;
  drop_if_unused(uid);
  return affected;
}

std::vector<std::string> OwnerGraph::absent(const std::string& uid) {
  auto it = nodes_.find(uid);
  if (it == nodes_.end() || it->second.known) return {};
  return {it->second.dependents.begin(), it->second.dependents.end()};
}

std::vector<const GraphNode*> OwnerGraph::dependents(const std::string& uid) const {
  std::vector<const GraphNode*> out;
  if (const auto* node = find(uid))
    for (const auto& dependent : node->dependents)
      if (const auto* d = find(dependent)) out.push_back(d);
  return out;
}

std::vector<const GraphNode*> OwnerGraph::blocking(const std::string& uid) const {
  auto out = dependents(uid);
  std::erase_if(out, [&](const GraphNode* d) {
    return std::none_of(d->owners.begin(), d->owners.end(), [&](const OwnerRef& o) { return o.uid == uid && o.block; });
  });
  return out;
}

}  // namespace lab::controllers
