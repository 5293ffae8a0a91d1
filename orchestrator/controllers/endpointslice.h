// EndpointSlice controller: discovery.k8s.io/v1 EndpointSlices of every Service with a selector, after KEP-752.
#pragma once

#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/service_endpoints.h"

namespace lab::controllers {

inline constexpr std::size_t kMaxEndpointsPerSlice = 100;

class EndpointSliceController final : public QueueController {
 public:
  explicit EndpointSliceController(Context& context);

 private:
  Task<Result<void>> reconcile(std::string key) override;
  client::Informer& services_;
  client::Informer& pods_;
  client::Informer& nodes_;
  client::Informer& slices_;
};

// What has to change so that the slices of a Service hold the wanted endpoints. Slices are touched as little as
// possible: an endpoint stays in its slice, new ones first fill slices that change anyway, then those with room.
struct SliceWant {
  std::string address_type;  // IPv4 or IPv6
  EndpointPorts ports;
  std::vector<json::Value> endpoints;
};
struct SliceChanges {
  std::vector<json::Value> create, update;
  std::vector<client::ObjectPtr> remove;
};
SliceChanges plan_slices(const json::Value& service, std::vector<SliceWant> wants,
                         const std::vector<client::ObjectPtr>& existing);
// One endpoint; null where the pod has no address of that family.
json::Value slice_endpoint(const json::Value& service, const json::Value& pod, const json::Value* node, bool ipv6);

}  // namespace lab::controllers
