// Topology hints: for which zone's clients each endpoint of a Service is, as the endpointslice controller writes it
// into endpoints[].hints.forZones. Pure.
//
// Two ways, as in Kubernetes. The annotation service.kubernetes.io/topology-mode: Auto (KEP-2433) splits the endpoints
// among zones in proportion to their CPUs, where no zone would be overloaded by more than a fifth; else there are no
// hints. Otherwise spec.trafficDistribution (KEP-4444, KEP-3015) gives each endpoint to its own zone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/client/informer.h"
#include "orchestrator/controllers/endpointslice.h"

namespace lab::controllers {

using ZoneShares = std::map<std::string, double>;  // a zone's part of all CPUs; they sum up to 1

// Empty unless at least two zones are known, and zone and CPUs of every Ready node that runs pods of users.
ZoneShares zone_shares(const std::vector<client::ObjectPtr>& nodes);
// Whether what zone_shares() reads differs.
bool zone_changed(const json::Value& old_node, const json::Value& node);
// The annotation asks for hints in proportion.
bool wants_proportional_hints(const json::Value& service);
// Writes the hints into the endpoints.
void set_hints(const json::Value& service, const ZoneShares& shares, std::vector<SliceWant>& wants);

}  // namespace lab::controllers
