// Cache: the nodes with their pods, placed ones and those this scheduler has decided on but the API server has not
// shown yet ("assumed"). One loop. A scheduling cycle runs without waiting, so the cache itself is its snapshot.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "orchestrator/scheduler/node_info.h"

namespace lab::scheduler {

class Cache {
 public:
  void set_node(client::ObjectPtr node);
  void remove_node(const std::string& name);

  void set_pod(PodInfoPtr pod);             // placed, as the API server shows it; ends an assumption about it
  bool remove_pod(const std::string& key);  // false when it was not here
  void assume(PodInfoPtr pod);              // with node_name set
  bool forget(const std::string& key);      // undoes assume(); nothing happens to a pod that is really placed
  bool is_assumed(const std::string& key) const;
  PodInfoPtr find_pod(const std::string& key) const;

  const std::vector<const NodeInfo*>& nodes() const { return nodes_; }  // those that exist, by name
  const NodeInfo* find_node(const std::string& name) const;
  std::size_t nodes_with_image(const std::string& image) const;

 private:
  struct Placed {
    PodInfoPtr pod;
    bool assumed = false;
  };
  NodeInfo& node(const std::string& name);
  void place(PodInfoPtr pod, bool assumed);
  void drop_if_empty(const std::string& name);
  void count_images(const NodeInfo& info, int by);
  void refresh();

  std::unordered_map<std::string, std::unique_ptr<NodeInfo>> infos_;
  std::unordered_map<std::string, Placed> pods_;
  std::unordered_map<std::string, std::size_t> image_nodes_;
  std::vector<const NodeInfo*> nodes_;
};

}  // namespace lab::scheduler
