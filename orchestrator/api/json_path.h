// The part of JSONPath (RFC 9535) that Kubernetes uses to name a field of an object: ".spec.replicas",
// ".status.conditions[?(@.type==\"Ready\")].status", ".items[0].name". Any thread.
#pragma once

#include <string_view>

#include "base/json.h"

namespace lab::api {

// The value, or null where there is none. A filter takes the last item that fits.
const json::Value& at_path(const json::Value& object, std::string_view path);

}  // namespace lab::api
