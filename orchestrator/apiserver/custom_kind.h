// CustomKind: a row that a CustomResourceDefinition adds. Every kind without a schema of its own is one.
//
// Pure functions over the definition's OpenAPI schema (structural schemas, apiextensions.k8s.io/v1).
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/defaults.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/webhooks/client_config.h"

namespace lab::apiserver {

struct CustomKind : api::Kind {
  json::Value object_schema;  // openAPIV3Schema; null: anything goes
  bool has_defaults = false;  // the schema has some: what is stored may lack what a read shows
  // spec.conversion of a definition with several versions: null where versions differ in their name alone.
  std::shared_ptr<const webhooks::ClientConfig> conversion;
  std::string review_version;             // of ConversionReview
  std::size_t versions = 1;               // that the definition has, or has stored
  std::vector<api::Column> columns;       // name and additionalPrinterColumns (AGE where there are none)
  std::vector<std::string> column_paths;  // JSON path of each column after the name
};

inline const CustomKind* as_custom(const api::Kind& kind) {
  return kind.schema.empty() && !kind.virtual_kind ? static_cast<const CustomKind*>(&kind) : nullptr;
}

// The served versions of a definition, the stored one first.
std::vector<api::KindPtr> kinds_of_definition(const json::Value& definition);
json::Array custom_row(const CustomKind& kind, const json::Value& object);

// Takes out what the schema does not name; `unknown` gets the paths.
void prune_custom(const json::Value& schema, json::Value& object, std::vector<std::string>& unknown);
void default_custom(const json::Value& schema, json::Value& object);
// Holds an object against the schema: types, bounds, patterns, required and allowed values, oneOf and its like.
std::vector<api::Finding> validate_custom(const json::Value& schema, const json::Value& object);

}  // namespace lab::apiserver
