#include "orchestrator/apiserver/table.h"

#include "orchestrator/apiserver/custom_kind.h"

namespace lab::apiserver {

Result<IncludeObject> parse_include_object(std::string_view text) {
  if (text.empty() || text == "Metadata") return IncludeObject::kMetadata;
  if (text == "None") return IncludeObject::kNone;
  if (text == "Object") return IncludeObject::kObject;
  return fail(Code::kBadRequest, "includeObject: Invalid value: \"" + std::string(text) +
                                     "\": must be \"Metadata\", \"Object\", \"None\", or empty");
}

json::Value partial_of(std::string_view version, const json::Value& object) {
  return json::Object{{"kind", "PartialObjectMetadata"},
                      {"apiVersion", "meta.k8s.io/" + std::string(version)},
                      {"metadata", json::at(object, "metadata")}};
}

json::Array row_cells(const api::Kind& kind, const json::Value& object) {
  const auto* custom = as_custom(kind);
  return custom ? custom_row(*custom, object) : api::row_of(kind, object);
}

json::Value table_row(const api::Kind& kind, std::string_view version, IncludeObject include,
                      const json::Value& object) {
  json::Object row;
  row["cells"] = row_cells(kind, object);
  if (include == IncludeObject::kMetadata) row["object"] = partial_of(version, object);
  if (include == IncludeObject::kObject) row["object"] = object;
  if (include == IncludeObject::kNone) row["object"] = nullptr;
  return row;
}

json::Value table_of(const api::Kind& kind, std::string_view version, json::Array rows, json::Object list_meta,
                     bool with_columns) {
  json::Array columns;
  if (with_columns)
    for (const auto& c : as_custom(kind) ? as_custom(kind)->columns : api::columns_of(kind))
      columns.push_back(json::Object{{"name", c.name},
                                     {"type", c.type},
                                     {"format", c.format},
                                     {"description", c.description},
                                     {"priority", c.priority}});
  return json::Object{{"kind", "Table"},
                      {"apiVersion", "meta.k8s.io/" + std::string(version)},
                      {"metadata", std::move(list_meta)},
                      {"columnDefinitions", with_columns ? json::Value(std::move(columns)) : json::Value(nullptr)},
                      {"rows", std::move(rows)}};
}

}  // namespace lab::apiserver
