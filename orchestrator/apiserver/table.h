// Table and PartialObjectMetadata (meta.k8s.io): objects as `kubectl get` and metadata informers ask for them.
#pragma once

#include <string_view>

#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::apiserver {

enum class IncludeObject { kMetadata, kNone, kObject };
Result<IncludeObject> parse_include_object(std::string_view text);  // "" is Metadata

// Rows without columns: watch events after the first carry no column definitions.
json::Value table_of(const api::Kind& kind, std::string_view version, json::Array rows, json::Object list_meta,
                     bool with_columns);
json::Array row_cells(const api::Kind& kind, const json::Value& object);
json::Value table_row(const api::Kind& kind, std::string_view version, IncludeObject include,
                      const json::Value& object);
json::Value partial_of(std::string_view version, const json::Value& object);

}  // namespace lab::apiserver
