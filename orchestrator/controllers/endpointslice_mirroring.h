// EndpointSlice mirroring: Endpoints that people write for Services without a selector, as EndpointSlices.
#pragma once

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

class EndpointSliceMirroringController final : public QueueController {
 public:
  explicit EndpointSliceMirroringController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  client::Informer& endpoints_;
  client::Informer& services_;
  client::Informer& slices_;
};

}  // namespace lab::controllers
