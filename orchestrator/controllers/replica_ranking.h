// Which pods of a ReplicaSet go first when there are too many, after kube-controller-manager's ActivePodsWithRanks.
#pragma once

#include <vector>

#include "base/io/loop.h"
#include "orchestrator/client/informer.h"

namespace lab::controllers {

struct RankedPod {
  client::ObjectPtr pod;
  int neighbours = 0;  // active pods of the same workload on its node
};

// Sorts so that the pods to delete stand first: not assigned to a node, Pending before Unknown before Running, not
// ready, lower controller.kubernetes.io/pod-deletion-cost, more neighbours on the node, ready for a shorter time, more
// container restarts, created later. Times count in powers of two, so that the choice among pods of about the same age
// is random (by uid).
void rank_for_deletion(std::vector<RankedPod>& pods, WallTime now);

}  // namespace lab::controllers
