// OwnerGraph: who owns whom, over all kinds, by uid. Pure data structure for the garbage collector.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/json.h"

namespace lab::controllers {

struct ObjectId {
  std::string api_version, kind, ns, name, uid;
};

struct OwnerRef {
  std::string api_version, kind, name, uid;
  bool block = false;  // blockOwnerDeletion
};

struct GraphNode {
  ObjectId id;
  std::vector<OwnerRef> owners;
  bool deleting = false;                       // has a deletionTimestamp
  bool deleting_dependents = false;            // and the finalizer foregroundDeletion
  bool orphaning = false;                      // and the finalizer orphan
  bool known = false;                          // seen itself; false: only named as an owner so far
  std::unordered_set<std::string> dependents;  // uids
};

class OwnerGraph {
 public:
  // Takes in an object. Returns the uids whose deletion may have to be decided anew.
  std::vector<std::string> put(const json::Value& object);
  std::vector<std::string> remove(const std::string& uid);
  // A uid that is named as an owner, but does not exist: its dependents are to be looked at.
  std::vector<std::string> absent(const std::string& uid);

  const GraphNode* find(const std::string& uid) const;
  // Dependents that hold up the foreground deletion of `uid`.
  std::vector<const GraphNode*> blocking(const std::string& uid) const;
  std::vector<const GraphNode*> dependents(const std::string& uid) const;
  std::size_t size() const { return nodes_.size(); }

 private:
  void unlink(GraphNode& node);
  void drop_if_unused(const std::string& uid);
  std::unordered_map<std::string, GraphNode> nodes_;
};

}  // namespace lab::controllers
