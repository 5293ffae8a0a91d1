#include "orchestrator/apiserver/discovery.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

json::Array array_of(const std::vector<std::string>& items) {
  json::Array out;
  for (const auto& item : items) out.emplace_back(item);
  return out;
}

// Names of the groups (without core) in discovery order, each once.
std::vector<std::string> group_names(const KindTable::Snapshot& table, const Externals& externals) {
  std::vector<std::string> out;
  for (const auto& kind : table.kinds)
    if (!kind->group.empty() && std::ranges::find(out, kind->group) == out.end()) out.push_back(kind->group);
  for (const auto& other : externals)
    if (std::ranges::find(out, other.group) == out.end()) out.push_back(other.group);
  return out;
}

// Versions of a group, the preferred one first.
std::vector<std::string> versions_of(const KindTable::Snapshot& table, const Externals& externals,
                                     std::string_view group) {
  std::vector<std::string> out;
  for (const auto& kind : table.kinds)
    if (kind->group == group && std::ranges::find(out, kind->version) == out.end()) out.push_back(kind->version);
  for (const auto& other : externals)
    if (other.group == group && std::ranges::find(out, other.version) == out.end()) out.push_back(other.version);
  return out;
}

std::string join_version(std::string_view group, std::string_view version) {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

json::Value response_kind(std::string_view group, std::string_view version, std::string_view kind) {
  return json::Object{{"group", group}, {"version", version}, {"kind", kind}};
}

json::Object aggregated_resource(const api::Kind& kind) {
  json::Object out{{"resource", kind.plural},
                   {"responseKind", response_kind(kind.group, kind.version, kind.kind)},
                   {"scope", kind.namespaced ? "Namespaced" : "Cluster"},
                   {"singularResource", kind.singular},
                   {"verbs", array_of(kind.verbs)}};
  if (!kind.short_names.empty()) out["shortNames"] = array_of(kind.short_names);
  if (!kind.categories.empty()) out["categories"] = array_of(kind.categories);
  json::Array subs;
  for (const auto& sub : subresources_of(kind))
    subs.push_back(json::Object{{"subresource", sub.name},
                                {"responseKind", response_kind(sub.group, sub.version, sub.kind)},
                                {"verbs", array_of(sub.verbs)}});
  if (!subs.empty()) out["subresources"] = std::move(subs);
  return out;
}

// The rows of an APIResourceList in the aggregated form.
json::Array aggregated_resources(const ExternalVersion& external) {
  auto response_of = [&](const json::Value& row) {
    auto group = json::str(row, "group"), version = json::str(row, "version");
    return response_kind(version.empty() ? std::string_view(external.group) : group,
                         version.empty() ? std::string_view(external.version) : version, json::str(row, "kind"));
  };
  json::Array out;
  for (const auto& row : external.resources) {
    const std::string name(json::str(row, "name"));
    if (name.find('/') != std::string::npos) continue;
    json::Object resource{{"resource", name},
                          {"responseKind", response_of(row)},
                          {"scope", json::flag(row, "namespaced") ? "Namespaced" : "Cluster"},
                          {"singularResource", json::str(row, "singularName")},
                          {"verbs", json::list(row, "verbs")}};
    for (auto names : {"shortNames", "categories"})
      if (!json::list(row, names).empty()) resource[names] = json::list(row, names);
    json::Array subs;
    for (const auto& sub : external.resources)
      if (auto full = json::str(sub, "name"); full.starts_with(name + "/"))
        subs.push_back(json::Object{{"subresource", full.substr(name.size() + 1)},
                                    {"responseKind", response_of(sub)},
                                    {"verbs", json::list(sub, "verbs")}});
    if (!subs.empty()) resource["subresources"] = std::move(subs);
    out.push_back(std::move(resource));
  }
  return out;
}

const ExternalVersion* find_external(const Externals& externals, std::string_view group, std::string_view version) {
  for (const auto& other : externals)
    if (other.group == group && other.version == version) return &other;
  return nullptr;
}

// The version of apidiscovery.k8s.io the client wants, "" for the legacy documents.
std::string aggregated_version(const http::Request& request) {
  for (const auto& range : parse_accept(request.headers.get("Accept"))) {
    if (range.type != "application/json" && range.type != "*/*") continue;
    if (range.param("as") != "APIGroupDiscoveryList") return {};
    auto version = range.param("v");
    if (range.param("g") == "apidiscovery.k8s.io" && (version == "v2" || version == "v2beta1"))
      return std::string(version);
  }
  return {};
}

http::Response json_response(const json::Value& value) {
  http::Response out;
  out.headers.set("Content-Type", "application/json");
  out.body.push_back(http::buffer(json::dump(value) + "\n"));
  return out;
}

http::Response aggregated_response(const http::Request& request, const json::Value& value, const std::string& version) {
  auto text = json::dump(value) + "\n";
  auto tag = "\"" + crypto::hex_encode(crypto::sha256(text)) + "\"";
  http::Response out;
  out.headers.set("ETag", tag);
  out.headers.set("Vary", "Accept");
  out.headers.set("Cache-Control", "public");
  if (request.headers.get("If-None-Match") == tag) {
    out.status = 304;
    return out;
  }
  out.headers.set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=" + version + ";as=APIGroupDiscoveryList");
  out.body.push_back(http::buffer(std::move(text)));
  return out;
}

}  // namespace

std::vector<Subresource> subresources_of(const api::Kind& kind) {
  std::vector<Subresource> out;
  auto own = [&](std::string name, std::vector<std::string> verbs) {
    out.push_back({std::move(name), kind.group, kind.version, kind.kind, std::move(verbs)});
  };
  auto other = [&](std::string name, std::string group, std::string version, std::string of,
                   std::vector<std::string> verbs) {
    out.push_back({std::move(name), std::move(group), std::move(version), std::move(of), std::move(verbs)});
  };
  const std::vector<std::string> every{"create", "delete", "get", "patch", "update"}, connect{"create", "get"},
      change{"get", "patch", "update"};
  bool core = kind.group.empty();
  if (core && kind.plural == "pods") {
    other("attach", "", "v1", "PodAttachOptions", connect);
    other("binding", "", "v1", "Binding", {"create"});
    own("ephemeralcontainers", change);
    other("eviction", "policy", "v1", "Eviction", {"create"});
    other("exec", "", "v1", "PodExecOptions", connect);
    own("log", {"get"});
    other("portforward", "", "v1", "PodPortForwardOptions", connect);
    other("proxy", "", "v1", "PodProxyOptions", every);
    own("resize", change);
  }
  if (core && kind.plural == "namespaces") own("finalize", {"update"});
  if (core && kind.plural == "nodes") other("proxy", "", "v1", "NodeProxyOptions", every);
  if (core && kind.plural == "services") other("proxy", "", "v1", "ServiceProxyOptions", every);
  if (core && kind.plural == "serviceaccounts")
    other("token", "authentication.k8s.io", "v1", "TokenRequest", {"create"});
  if (kind.plural == "certificatesigningrequests") own("approval", change);
  if (kind.scale) other("scale", "autoscaling", "v1", "Scale", change);
  if (kind.status) own("status", change);
  return out;
}

json::Value Discovery::api_versions() const {
  return json::Object{
      {"kind", "APIVersions"}, {"versions", json::Array{"v1"}}, {"serverAddressByClientCIDRs", json::Array{}}};
}

json::Value Discovery::group(const KindTable::Snapshot& table, const Externals& externals,
                             std::string_view name) const {
  json::Array versions;
  for (const auto& version : versions_of(table, externals, name))
    versions.push_back(json::Object{{"groupVersion", join_version(name, version)}, {"version", version}});
  auto preferred = versions.front();
  return json::Object{{"name", name}, {"versions", std::move(versions)}, {"preferredVersion", std::move(preferred)}};
}

json::Value Discovery::groups(const KindTable::Snapshot& table, const Externals& externals) const {
  json::Array list;
  for (const auto& name : group_names(table, externals)) list.push_back(group(table, externals, name));
  return json::Object{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(list)}};
}

json::Value Discovery::resources(const KindTable::Snapshot& table, std::string_view group,
                                 std::string_view version) const {
  json::Array list;
  for (const auto& kind : table.kinds) {
    if (kind->group != group || kind->version != version) continue;
    json::Object row{{"name", kind->plural},
                     {"singularName", kind->singular},
                     {"namespaced", kind->namespaced},
                     {"kind", kind->kind},
                     {"verbs", array_of(kind->verbs)}};
    if (!kind->short_names.empty()) row["shortNames"] = array_of(kind->short_names);
    if (!kind->categories.empty()) row["categories"] = array_of(kind->categories);
    if (!kind->virtual_kind)
      row["storageVersionHash"] = crypto::base64_encode(
          crypto::sha256(table.storage.at(kind->storage_prefix)->api_version() + "/" + kind->kind).substr(0, 8));
    list.push_back(std::move(row));
    for (const auto& sub : subresources_of(*kind)) {
      json::Object entry{{"name", kind->plural + "/" + sub.name},
                         {"singularName", ""},
                         {"namespaced", kind->namespaced},
                         {"kind", sub.kind},
                         {"verbs", array_of(sub.verbs)}};
      if (sub.group != kind->group || sub.version != kind->version) {
        entry["group"] = sub.group;
        entry["version"] = sub.version;
      }
      list.push_back(std::move(entry));
    }
  }
  return json::Object{{"kind", "APIResourceList"},
                      {"apiVersion", "v1"},
                      {"groupVersion", join_version(group, version)},
                      {"resources", std::move(list)}};
}

json::Value Discovery::aggregated(const KindTable::Snapshot& table, const Externals& externals, bool core,
                                  std::string_view version) const {
  json::Array items;
  for (const auto& name : core ? std::vector<std::string>{""} : group_names(table, externals)) {
    json::Array versions;
    for (const auto& v : versions_of(table, externals, name)) {
      json::Array list;
      if (const auto* other = find_external(externals, name, v)) {
        versions.push_back(json::Object{{"version", v},
                                        {"resources", aggregated_resources(*other)},
                                        {"freshness", other->available ? "Current" : "Stale"}});
        continue;
      }
      for (const auto& kind : table.kinds)
        if (kind->group == name && kind->version == v) list.push_back(aggregated_resource(*kind));
      versions.push_back(json::Object{{"version", v}, {"resources", std::move(list)}, {"freshness", "Current"}});
    }
    json::Object metadata{{"creationTimestamp", nullptr}};
    if (!name.empty()) metadata["name"] = name;
    items.push_back(json::Object{{"metadata", std::move(metadata)}, {"versions", std::move(versions)}});
  }
  return json::Object{{"kind", "APIGroupDiscoveryList"},
                      {"apiVersion", "apidiscovery.k8s.io/" + std::string(version)},
                      {"metadata", json::Object{}},
                      {"items", std::move(items)}};
}

std::optional<http::Response> Discovery::serve(const http::Request& request, std::string_view path) {
  auto table = kinds_.snapshot();
  const auto externals = externals_ && path.starts_with("/apis") ? externals_() : Externals();
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path == "/api" || path == "/apis") {
    if (auto version = aggregated_version(request); !version.empty())
      return aggregated_response(request, aggregated(*table, externals, path == "/api", version), version);
    return json_response(path == "/api" ? api_versions() : groups(*table, externals));
  }
  if (path == "/api/v1") return json_response(resources(*table, "", "v1"));
  if (!path.starts_with("/apis/")) return std::nullopt;
  path.remove_prefix(6);
  auto slash = path.find('/');
  auto group_name = path.substr(0, slash);
  auto names = group_names(*table, externals);
  if (std::ranges::find(names, group_name) == names.end()) return std::nullopt;
  if (slash == std::string_view::npos) {
    auto value = group(*table, externals, group_name);
    json::Object out{{"kind", "APIGroup"}, {"apiVersion", "v1"}};
    for (auto& [key, field] : value.get_object()) out[key] = std::move(field);
    return json_response(out);
  }
  auto version = path.substr(slash + 1);
  if (!table->has_group_version(group_name, version)) return std::nullopt;
  return json_response(resources(*table, group_name, version));
}

}  // namespace lab::apiserver
