// OpenAPI documents generated from the kind table and the schema. Making one takes tens of milliseconds; nothing is
// kept.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::api {

// The structural OpenAPI v3 schema of a kind that the embedded schema does not know (a custom resource); null: any
// object.
using CustomSchema = std::function<json::Value(const Kind& kind)>;

// Swagger 2.0 with paths, definitions and Kubernetes' x- extensions; and the same as gnostic protobuf
// (application/com.github.proto-openapi.spec.v2@v1.0+protobuf), which kubectl before 1.29 requires.
json::Value openapi_v2(const std::vector<KindPtr>& kinds, const CustomSchema& custom = {});
std::string openapi_v2_protobuf(const json::Value& document);
// OpenAPI 3.0 document of one group version: "api/v1", "apis/apps/v1".
json::Value openapi_v3(const std::vector<KindPtr>& kinds, const std::string& group_path,
                       const CustomSchema& custom = {});

}  // namespace lab::api
