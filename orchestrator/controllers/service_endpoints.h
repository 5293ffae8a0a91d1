// Which pods stand behind a Service and on which ports. Pure functions for the endpoints and endpointslice controllers.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/client/informer.h"

namespace lab::controllers {

struct EndpointPort {
  std::string name, protocol, app_protocol;
  std::int64_t port = 0;
  auto operator<=>(const EndpointPort&) const = default;
};
using EndpointPorts = std::vector<EndpointPort>;  // sorted

// The Service's ports as this pod serves them: named target ports are looked up in its containers, a port that the pod
// does not have is left out.
EndpointPorts ports_of(const json::Value& service, const json::Value& pod);

bool is_headless(const json::Value& service);
// ExternalName services and services without a selector have endpoints that somebody else writes.
bool selects_pods(const json::Value& service);
// Whether the pod can be reached at all: it has an address and is not finished.
bool has_endpoint(const json::Value& pod);
std::string hostname_for(const json::Value& service, const json::Value& pod);  // "" where it has none of its own
std::string address_of(const json::Value& pod, bool ipv6);                     // "" where it has none of that family
json::Value pod_reference(const json::Value& pod);
// Whether what endpoints show of a pod differs.
bool endpoint_changed(const json::Value& old, const json::Value& now);
// Services of the pod's namespace that select it, by key.
std::vector<std::string> services_selecting(const client::Informer& services, const json::Value& pod);
// metadata.labels of the Service plus service.kubernetes.io/headless where it is.
json::Object labels_from(const json::Value& service);

}  // namespace lab::controllers
