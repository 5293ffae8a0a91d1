// Status objects (meta/v1): how every failure, and the outcome of a deletion, is told to a client.
#pragma once

#include <string>
#include <string_view>

#include "base/http/message.h"
#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::apiserver {

// "deployments.apps", or "pods" in the core group.
std::string qualified_resource(const api::Kind& kind);

// Errors as kube-apiserver words them, with Status.details filled.
Error not_found(const api::Kind& kind, std::string_view name);
Error already_exists(const api::Kind& kind, std::string_view name);
Error conflict(const api::Kind& kind, std::string_view name, std::string_view why);
// The conflict of an outdated resourceVersion.
Error modified(const api::Kind& kind, std::string_view name);
Error bad_request(std::string message);
Error method_not_supported(std::string_view method);
Error not_found_path();  // 404 of a path that names nothing
Error expired(std::string message);
Error too_many_requests(std::string message, int retry_after_seconds);

// A failure that is told with a Status made elsewhere, its code and reason unchanged.
Error error_of_status(json::Value status);

json::Value status_of(const Error& error);
json::Value success_status(const api::Kind& kind, std::string_view name, std::string_view uid);
// With Content-Type, and Retry-After where the details have it.
http::Response error_response(const Error& error);

}  // namespace lab::apiserver
