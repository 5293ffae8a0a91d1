// Endpoints controller: core/v1 Endpoints of every Service with a selector (the form older clients read).
#pragma once

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

class EndpointsController final : public QueueController {
 public:
  explicit EndpointsController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  Duration gathering(const std::string& key) const;
  client::Informer& services_;
  client::Informer& pods_;
  client::Informer& endpoints_;
};

// The subsets: addresses with the same ports stand together, ready apart from not ready; sorted, so that equal state
// gives equal bytes.
json::Array endpoint_subsets(const json::Value& service, const std::vector<client::ObjectPtr>& pods);

}  // namespace lab::controllers
