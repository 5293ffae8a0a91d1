// Node IPAM: gives every node a podCIDR out of the cluster's pod network (of each family).
#pragma once

#include "orchestrator/controllers/cidr_set.h"
#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

class NodeIpamController final : public QueueController {
 public:
  NodeIpamController(Context& context, std::vector<CidrSet> sets);

 private:
  Task<Result<void>> reconcile(std::string name) override;
  client::Informer& nodes_;
  std::vector<CidrSet> sets_;
};

}  // namespace lab::controllers
