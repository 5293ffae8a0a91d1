// Discovery: which groups, versions and resources this server has, in the legacy and the aggregated form (KEP-3352).
//
// Documents are built from the kind table as asked for. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <functional>
#include <string>
#include <vector>

#include "orchestrator/apiserver/kind_table.h"
#include "orchestrator/apiserver/resources.h"

namespace lab::apiserver {

struct Subresource {
  std::string name;
  std::string group, version, kind;  // of what it takes and gives
  std::vector<std::string> verbs;
};
std::vector<Subresource> subresources_of(const api::Kind& kind);

// A group version that another server answers for (APIService), as it was told by that one.
struct ExternalVersion {
  std::string group, version;
  bool available = false;
  json::Array resources;  // of its APIResourceList, as last heard
};
using Externals = std::vector<ExternalVersion>;

class Discovery {
 public:
  // `externals`: what is served by others now; may be empty.
  explicit Discovery(const KindTable& kinds, std::function<Externals()> externals = {})
      : kinds_(kinds), externals_(std::move(externals)) {}
  // /api, /apis, /api/v1, /apis/G, /apis/G/V; nullopt for other paths.
  std::optional<http::Response> serve(const http::Request& request, std::string_view path);

 private:
  json::Value api_versions() const;
  json::Value group(const KindTable::Snapshot& table, const Externals& externals, std::string_view name) const;
  json::Value groups(const KindTable::Snapshot& table, const Externals& externals) const;
  json::Value resources(const KindTable::Snapshot& table, std::string_view group, std::string_view version) const;
  json::Value aggregated(const KindTable::Snapshot& table, const Externals& externals, bool core,
                         std::string_view version) const;

  const KindTable& kinds_;
  std::function<Externals()> externals_;
};

}  // namespace lab::apiserver
