// Discovery: which groups, versions and resources this server has, in the legacy and the aggregated form (KEP-3352).
//
// Documents are built from the kind table as asked for. Any thread.
#pragma once

#include <string>
#include <string_view>
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

class Discovery {
 public:
  explicit Discovery(const KindTable& kinds) : kinds_(kinds) {}
  // /api, /apis, /api/v1, /apis/G, /apis/G/V; nullopt for other paths.
  std::optional<http::Response> serve(const http::Request& request, std::string_view path);

 private:
  json::Value api_versions() const;
  json::Value group(const KindTable::Snapshot& table, std::string_view name) const;
  json::Value groups(const KindTable::Snapshot& table) const;
  json::Value resources(const KindTable::Snapshot& table, std::string_view group, std::string_view version) const;
  json::Value aggregated(const KindTable::Snapshot& table, bool core, std::string_view version) const;

  const KindTable& kinds_;
};

}  // namespace lab::apiserver
