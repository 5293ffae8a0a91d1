#include "orchestrator/apiserver/custom_kind.h"

#include <algorithm>

#include "orchestrator/api/json_path.h"
#include "orchestrator/api/schema.h"
#include "orchestrator/api/time.h"

namespace lab::apiserver {
namespace {

std::vector<std::string> strings_of(const json::Array& list) {
  std::vector<std::string> out;
  for (const auto& item : list) out.emplace_back(json::as_str(item));
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

void add_columns(CustomKind& kind, const json::Value& version) {
  kind.columns.push_back({.name = "Name", .type = "string", .format = "name"});
  for (const auto& c : json::list(version, "additionalPrinterColumns")) {
    kind.columns.push_back({.name = std::string(json::str(c, "name")),
                            .type = std::string(json::str(c, "type")),
                            .format = std::string(json::str(c, "format")),
                            .description = std::string(json::str(c, "description")),
                            .priority = static_cast<int>(json::num(c, "priority"))});
    kind.column_paths.emplace_back(json::str(c, "jsonPath"));
  }
  if (!kind.column_paths.empty()) return;
  kind.columns.push_back({.name = "Age", .type = "date"});
  kind.column_paths.emplace_back(".metadata.creationTimestamp");
}

bool has_defaults(const json::Value& schema) {
  if (json::has(schema, "default")) return true;
  for (const auto& [key, property] : json::map(schema, "properties"))
    if (has_defaults(property)) return true;
  for (const char* below : {"items", "additionalProperties"})
    if (json::at(schema, below).is_object() && has_defaults(json::at(schema, below))) return true;
  return false;
}

// Versions that objects of the definition may be of: those it has, and those it had when they were stored.
std::size_t count_versions(const json::Value& definition) {
  std::vector<std::string_view> names;
  auto add = [&](std::string_view name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  for (const auto& version : json::list(definition, "spec", "versions")) add(json::str(version, "name"));
  for (const auto& name : json::list(definition, "status", "storedVersions")) add(json::as_str(name));
  return names.size();
}

void read_conversion(CustomKind& kind, const json::Value& conversion) {
  if (json::str(conversion, "strategy") != "Webhook") return;
  kind.conversion = webhooks::read_client_config(json::at(conversion, "webhook", "clientConfig"));
  for (const auto& version : json::list(conversion, "webhook", "conversionReviewVersions"))
    if (auto name = json::as_str(version); kind.review_version.empty() && (name == "v1" || name == "v1beta1"))
      kind.review_version = name;
}

api::KindPtr kind_of(const json::Value& definition, const json::Value& version) {
  auto kind = std::make_shared<CustomKind>();
  const auto& spec = json::at(definition, "spec");
  kind->group = json::str(spec, "group");
  kind->version = json::str(version, "name");
  kind->kind = json::str(spec, "names", "kind");
  kind->plural = json::str(spec, "names", "plural");
  kind->singular = json::str(spec, "names", "singular");
  if (kind->singular.empty()) kind->singular = lower(kind->kind);
  kind->short_names = strings_of(json::list(spec, "names", "shortNames"));
  kind->categories = strings_of(json::list(spec, "names", "categories"));
  kind->namespaced = json::str(spec, "scope") == "Namespaced";
  kind->status = json::has(version, "subresources", "status");
  kind->scale = json::str(version, "subresources", "scale", "specReplicasPath") == ".spec.replicas";
  kind->verbs = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
  kind->storage_prefix = "/registry/" + kind->group + "/" + kind->plural + "/";
  kind->generation = true;
  kind->object_schema = json::at(version, "schema", "openAPIV3Schema");
  for (const auto& field : json::list(version, "selectableFields")) {
    auto path = json::str(field, "jsonPath");
    kind->selectable_fields.emplace_back(path.starts_with('.') ? path.substr(1) : path);
  }
  kind->has_defaults = has_defaults(kind->object_schema);
  kind->versions = count_versions(definition);
  read_conversion(*kind, json::at(spec, "conversion"));
  add_columns(*kind, version);
  return kind;
}

bool preserves(const json::Value& schema) {
  return schema.is_null() || json::flag(schema, "x-kubernetes-preserve-unknown-fields");
}

// An object with apiVersion, kind and metadata: the resource itself, or one that is embedded in it.
bool is_resource(const json::Value& schema, const std::string& path) {
  return path.empty() || json::flag(schema, "x-kubernetes-embedded-resource");
}

bool is_resource_field(std::string_view key) {
  return key == "apiVersion" || key == "kind" || key == "metadata";
}

// ObjectMeta is the same everywhere, whatever the schema says of it.
void prune_metadata(json::Value& metadata, const std::string& path, std::vector<std::string>& unknown) {
  static const api::Type& type = *api::find_type("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta");
  auto* object = metadata.if_object();
  if (!object) return;
  std::vector<std::string> gone;
  for (const auto& [key, field] : *object)
    if (!type.by_json(key)) gone.emplace_back(key);
  for (const auto& key : gone) {
    object->erase(key);
    unknown.push_back("unknown field \"" + path + "." + key + "\"");
  }
}

void prune_at(const json::Value& schema, json::Value& value, const std::string& path,
              std::vector<std::string>& unknown) {
  if (auto* list = value.if_array()) {
    for (std::size_t i = 0; i < list->size(); ++i)
      prune_at(json::at(schema, "items"), (*list)[i], path + "[" + std::to_string(i) + "]", unknown);
    return;
  }
  auto* object = value.if_object();
  if (!object || schema.is_null()) return;
  const auto& properties = json::map(schema, "properties");
  const auto& additional = json::at(schema, "additionalProperties");
  std::vector<std::string> gone;
  for (auto& [key, field] : *object) {
    auto below = path.empty() ? std::string(key) : path + "." + std::string(key);
    if (is_resource(schema, path) && is_resource_field(key)) {
      if (key == "metadata") prune_metadata(field, below, unknown);
      continue;
    }
    if (const auto* known = properties.if_contains(key)) {
      prune_at(*known, field, below, unknown);
    } else if (additional.is_object()) {
      prune_at(additional, field, below, unknown);
    } else if (!json::as_bool(additional) && !preserves(schema)) {
      gone.emplace_back(key);
      unknown.push_back("unknown field \"" + below + "\"");
    }
  }
  for (const auto& key : gone) object->erase(key);
}

}  // namespace

std::vector<api::KindPtr> kinds_of_definition(const json::Value& definition) {
  std::vector<api::KindPtr> out;
  for (const auto& version : json::list(definition, "spec", "versions")) {
    if (!json::flag(version, "served")) continue;
    auto kind = kind_of(definition, version);
    out.insert(json::flag(version, "storage") ? out.begin() : out.end(), std::move(kind));
  }
  return out;
}

json::Array custom_row(const CustomKind& kind, const json::Value& object) {
  json::Array cells;
  cells.emplace_back(json::str(object, "metadata", "name"));
  auto now = std::chrono::system_clock::now();
  for (std::size_t i = 0; i < kind.column_paths.size(); ++i) {
    const auto& value = api::at_path(object, kind.column_paths[i]);
    if (kind.columns[i + 1].type == "date") {
      auto when = api::parse_time(json::as_str(value));
      cells.emplace_back(when ? api::human_duration(std::chrono::duration_cast<std::chrono::seconds>(now - *when))
                              : std::string("<unknown>"));
    } else {
      cells.push_back(value.is_structured() ? json::Value(json::dump(value)) : value);
    }
  }
  return cells;
}

void prune_custom(const json::Value& schema, json::Value& object, std::vector<std::string>& unknown) {
  if (!schema.is_null()) prune_at(schema, object, "", unknown);
}

void default_custom(const json::Value& schema, json::Value& object) {
  if (auto* list = object.if_array())
    for (auto& item : *list) default_custom(json::at(schema, "items"), item);
  if (!object.is_object()) return;
  for (const auto& [key, property] : json::map(schema, "properties")) {
    auto* field = object.get_object().if_contains(key);
    const auto& value = json::at(property, "default");
    if (!field && !value.is_null()) field = &object.get_object().insert_or_assign(key, value).first->value();
    if (field) default_custom(property, *field);
  }
  const auto& additional = json::at(schema, "additionalProperties");
  if (additional.is_object())
    for (auto& [key, field] : object.get_object()) default_custom(additional, field);
}

}  // namespace lab::apiserver
