#include "orchestrator/api/openapi.h"

#include "orchestrator/api/openapi_parts.h"

namespace lab::api {

namespace {

constexpr std::string_view kVersion = "v1.32.3+lab";

json::Object info() {
  return {{"title", "Kubernetes"}, {"version", json::Value(kVersion)}};
}

// Types that clients look for though no operation names them.
void add_common(OpenApiDefinitions& definitions) {
  for (std::string_view name : {"Status", "DeleteOptions", "WatchEvent", "APIResourceList", "APIGroup"})
    definitions.meta_ref(name);
}

}  // namespace

json::Value openapi_v2(const std::vector<KindPtr>& kinds, const CustomSchema& custom) {
  OpenApiDefinitions definitions(false, custom);
  json::Object paths;
  for (const auto& kind : kinds) add_paths(*kind, definitions, paths, false);
  add_common(definitions);
  return json::Object{
      {"swagger", "2.0"},
      {"info", info()},
      {"paths", std::move(paths)},
      {"definitions", definitions.take()},
      {"parameters", shared_parameters()},
      {"securityDefinitions",
       json::Object{{"BearerToken", json::Object{{"type", "apiKey"},
                                                 {"name", "authorization"},
                                                 {"in", "header"},
                                                 {"description", "Bearer Token authentication"}}}}},
      {"security", json::Array{json::Object{{"BearerToken", json::Array()}}}},
  };
}

json::Value openapi_v3(const std::vector<KindPtr>& kinds, const std::string& group_path, const CustomSchema& custom) {
  OpenApiDefinitions definitions(true, custom);
  json::Object paths;
  for (const auto& kind : kinds)
    if ((kind->group.empty() ? "api/" + kind->version : "apis/" + kind->group + "/" + kind->version) == group_path)
      add_paths(*kind, definitions, paths, true);
  add_common(definitions);
  return json::Object{
      {"openapi", "3.0.0"},
      {"info", info()},
      {"paths", std::move(paths)},
      {"components",
       json::Object{{"schemas", definitions.take()},
                    {"securitySchemes",
                     json::Object{{"BearerToken",
                                   json::Object{{"type", "apiKey"}, {"name", "authorization"}, {"in", "header"}}}}}}},
  };
}

}  // namespace lab::api
