// RequestInfo: what a path and method mean, as kube-apiserver's request info resolver reads them.
#pragma once

#include <string>
#include <vector>

#include "base/http/message.h"

namespace lab::apiserver {

struct RequestInfo {
  bool resource_request = false;
  std::string path;  // decoded
  std::string verb;  // get list watch create update patch delete deletecollection; else the method in lower case
  std::string group, version;  // "" group: core
  std::string resource, subresource, ns, name;
  std::vector<std::string> rest;  // after the subresource: .../proxy/a/b gives {"a", "b"}

  bool mutating() const {
    return verb == "create" || verb == "update" || verb == "patch" || verb == "delete" || verb == "deletecollection";
  }
  // Streams and tunnels: no time limit, not counted as in flight.
  bool long_running() const;
};

RequestInfo request_info(const http::Request& request, const http::Query& query);

}  // namespace lab::apiserver
