// Where the server dials a Service: one of its ready endpoints.
//
// Never waits: it reads the caches. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver::webhooks {

struct ServiceAddress {
  std::string host;
  int port = 0;
};

// `port` is one of the Service's. NotFound for a Service or port that is not there, Unavailable without a ready
// endpoint; worded as kube-apiserver words them. An ExternalName is dialled by that name.
Result<ServiceAddress> resolve_service(const ObjectReader& reader, std::string_view ns, std::string_view name,
                                       int port);

}  // namespace lab::apiserver::webhooks
