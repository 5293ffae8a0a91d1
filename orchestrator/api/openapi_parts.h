// The two halves of an OpenAPI document: definitions of types, and paths with their operations.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/api/openapi.h"
#include "orchestrator/api/schema.h"

namespace lab::api {

// Collects the definitions that are referred to, transitively.
class OpenApiDefinitions {
 public:
  OpenApiDefinitions(bool v3, const CustomSchema& custom) : v3_(v3), custom_(custom) {}

  // "#/definitions/io.k8s.api.core.v1.Pod", noted as needed.
  std::string ref(const Type& type);
  // The same for a kind, custom ones included; and for its list.
  std::string ref(const Kind& kind);
  std::string list_ref(const Kind& kind);
  std::string meta_ref(std::string_view short_name);  // Status, DeleteOptions, Patch...
  // All that was referred to and what that refers to.
  json::Object take();

 private:
  std::string prefix() const { return v3_ ? "#/components/schemas/" : "#/definitions/"; }
  std::string special_ref(std::string_view name);
  json::Object definition(const Type& type);
  json::Object property(const Type& owner, const Field& field);
  json::Object value(const Field& field);
  json::Object special(std::string_view name) const;
  void custom_definitions(const Kind& kind, const std::string& name);

  bool v3_;
  const CustomSchema& custom_;
  std::set<const Type*> seen_;
  std::vector<const Type*> todo_;
  std::map<std::string, json::Value> done_;
};

// Paths of one kind, added to `paths`.
void add_paths(const Kind& kind, OpenApiDefinitions& definitions, json::Object& paths, bool v3);
// Parameters that v2 operations refer to as #/parameters/NAME.
json::Object shared_parameters();

}  // namespace lab::api
