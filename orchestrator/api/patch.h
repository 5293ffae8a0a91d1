// Patches: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7386), and Kubernetes' strategic merge patch.
// (Server-side apply has its own place: apply.h, when it comes.)
#pragma once

#include "base/json.h"
#include "orchestrator/api/schema.h"

namespace lab::api {

// Invalid when a path or a test does not hold; BadRequest when the patch is malformed.
Result<json::Value> json_patch(json::Value target, const json::Value& patch);
json::Value merge_patch(json::Value target, const json::Value& patch);
// $patch: delete|replace|merge, $setElementOrder/x, $deleteFromPrimitiveList/x, $retainKeys; list merge keys by schema.
Result<json::Value> strategic_patch(const Type& type, json::Value target, const json::Value& patch);

}  // namespace lab::api
