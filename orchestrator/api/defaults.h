// Defaulting and validation of built-in kinds, as kube-apiserver does them on write.
//
// apply_defaults is idempotent and never overwrites. validate_* return all findings at once; they must not mutate.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::api {

void apply_defaults(const Kind& kind, json::Value& object);

struct Finding {
  std::string field;    // "spec.containers[0].image"
  std::string reason;   // "FieldValueRequired", "FieldValueInvalid", "FieldValueNotSupported", "FieldValueForbidden"...
  std::string message;  // "Required value", `Invalid value: "x": must be ...`
};
std::vector<Finding> validate_create(const Kind& kind, const json::Value& object);
// `subresource` is what the request names ("status", "ephemeralcontainers", "resize"...): it decides what may change.
std::vector<Finding> validate_update(const Kind& kind, const json::Value& old, const json::Value& object,
                                     std::string_view subresource = {});
// 422 with Status.details.causes, worded `Deployment.apps "web" is invalid: spec.x: Required value`.
Error invalid(const Kind& kind, std::string_view name, const std::vector<Finding>& findings);

}  // namespace lab::api
