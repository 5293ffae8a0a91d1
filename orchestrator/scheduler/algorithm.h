// Placing one pod: filters, then scores; and the words for why it could not be placed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler {

// Pods that were promised a node by preemption and have not been placed yet.
class Nominations {
 public:
  void set(PodInfoPtr pod, const std::string& node);  // "" removes
  void remove(const std::string& key);
  std::string node_of(const std::string& key) const;
  std::vector<PodInfoPtr> on(const std::string& node) const;

 private:
  std::map<std::string, std::pair<std::string, PodInfoPtr>> by_pod_;
};

// Why a pod fits nowhere.
struct Diagnosis {
  std::size_t all_nodes = 0;
  std::string no_node_reason;                                   // holds for every node
  std::vector<std::pair<const NodeInfo*, Verdict>> rejections;  // nodes that were looked at
  std::string preemption;                                       // what preemption had to say
  EventMask retry_on = 0;
  // "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: ...".
  std::string text() const;
};
// "0/3 nodes are available: ..." of counted reasons, sorted as text.
std::string count_reasons(std::size_t all_nodes, const std::map<std::string, int>& reasons);

struct Placement {
  const NodeInfo* node = nullptr;  // null: see why
  Diagnosis why;
};

// Runs the plugins' prepare functions; a reason when no node can do.
std::optional<std::string> prepare_filters(Cycle& cycle, EventMask* retry_on = nullptr);
// The verdict of the first filter that refuses.
Verdict run_filters(const Cycle& cycle, const NodeInfo& node, EventMask* retry_on = nullptr);

class Algorithm {
 public:
  Placement place(Cycle& cycle, const Nominations& nominations);

 private:
  std::vector<const NodeInfo*> find_feasible(Cycle& cycle, const Nominations& nominations, Diagnosis& why);
  std::size_t next_start_ = 0;  // where the last search ended: large clusters are searched in turns
};

}  // namespace lab::scheduler
