#include "orchestrator/apiserver/server_side_apply.h"

#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/field_set.h"

namespace lab::apiserver {
namespace {

const api::Type* type_of(const api::Kind& kind) {
  return kind.schema.empty() ? nullptr : api::find_type(kind.schema);
}

// The fields somebody can own: not the object's identity, nor what the server alone writes.
json::Object ownable(json::Object set) {
  set.erase("f:apiVersion");
  set.erase("f:kind");
  auto* metadata = set.if_contains("f:metadata");
  if (!metadata || !metadata->is_object()) return set;
  for (auto key : {"f:name", "f:namespace", "f:uid", "f:resourceVersion", "f:generation", "f:creationTimestamp",
                   "f:managedFields", "f:selfLink", "f:deletionTimestamp", "f:deletionGracePeriodSeconds"})
    metadata->get_object().erase(key);
  if (metadata->get_object().empty()) set.erase("f:metadata");
  return set;
}

json::Value entry_of(const api::Kind& kind, const Manager& manager, std::string_view operation, json::Object set) {
  json::Object entry{{"manager", manager.name},          {"operation", operation},
                     {"apiVersion", kind.api_version()}, {"time", api::format_time(manager.now)},
                     {"fieldsType", "FieldsV1"},         {"fieldsV1", std::move(set)}};
  if (!manager.subresource.empty()) entry["subresource"] = manager.subresource;
  return entry;
}

bool is_entry_of(const json::Value& entry, const Manager& manager, std::string_view operation) {
  return json::str(entry, "manager") == manager.name && json::str(entry, "operation") == operation &&
         json::str(entry, "subresource") == manager.subresource;
}

struct Conflict {
  std::string manager, api_version, field;
  bool update = false;
};

Failure conflict_error(const std::vector<Conflict>& conflicts) {
  Error error;
  error.code = Code::kConflict;
  error.message = "Apply failed with " + std::to_string(conflicts.size()) +
                  (conflicts.size() == 1 ? " conflict: " : " conflicts: ");
  json::Array causes;
  for (std::size_t i = 0; i < conflicts.size(); ++i) {
    const auto& c = conflicts[i];
    auto with = "conflict with \"" + c.manager + "\"" + (c.update ? " using " + c.api_version : "");
    error.message += (i > 0 ? "\n" : "") + with + ": " + c.field;
    causes.push_back(json::Object{{"reason", "FieldManagerConflict"}, {"message", with}, {"field", c.field}});
  }
  error.details = json::dump(json::Object{{"causes", std::move(causes)}});
  return Failure(error);
}

}  // namespace

Result<json::Value> apply_config(const api::Kind& kind, const json::Value& live, json::Value config,
                                 const Manager& manager) {
  const auto* type = type_of(kind);
  if (!json::list(config, "metadata", "managedFields").empty())
    return fail(Code::kBadRequest, "metadata.managedFields must be nil");
  auto wanted = ownable(fields::of(type, config));
  if (live.is_null()) {
    json::set(config, json::Array{entry_of(kind, manager, "Apply", std::move(wanted))}, "metadata", "managedFields");
    return config;
  }
  // Only what would change can conflict.
  auto merged = fields::merge(type, live, config);
  auto changing = fields::difference(type, live, merged);
  json::Array entries;
  json::Object before, others;
  std::vector<Conflict> conflicts;
  json::Value own;
  for (const auto& entry : json::list(live, "metadata", "managedFields")) {
    auto set = json::map(entry, "fieldsV1");
    if (is_entry_of(entry, manager, "Apply")) {
      before = set;
      own = entry;
      continue;
    }
    auto contested = fields::subtract(wanted, fields::subtract(wanted, changing));
    for (auto& field : fields::common(contested, set))
      conflicts.push_back({std::string(json::str(entry, "manager")), std::string(json::str(entry, "apiVersion")),
                           std::move(field), json::str(entry, "operation") == "Update"});
    json::Value kept = entry;
    if (manager.force) set = fields::subtract(std::move(set), contested);
    others = fields::unite(std::move(others), set);
    if (set.empty()) continue;
    json::set(kept, std::move(set), "fieldsV1");
    entries.push_back(std::move(kept));
  }
  if (!conflicts.empty() && !manager.force) return conflict_error(conflicts);
  fields::prune(type, merged, before, fields::unite(wanted, others));
  bool same_set = json::Value(before) == json::Value(wanted) && !own.is_null();
  entries.push_back(same_set ? std::move(own) : entry_of(kind, manager, "Apply", std::move(wanted)));
  json::set(merged, std::move(entries), "metadata", "managedFields");
  return merged;
}

void pass_ownership(const api::Kind& kind, const json::Value& old, json::Value& object, const Manager& manager) {
  const auto& known = json::list(old, "metadata", "managedFields");
  if (known.empty()) return;
  auto changed = ownable(fields::difference(type_of(kind), old, object));
  if (changed.empty()) return;
  json::Array entries;
  json::Object own;
  for (const auto& entry : known) {
    if (is_entry_of(entry, manager, "Update")) {
      own = json::map(entry, "fieldsV1");
      continue;
    }
    auto set = fields::subtract(json::map(entry, "fieldsV1"), changed);
    if (set.empty()) continue;
    json::Value kept = entry;
    json::set(kept, std::move(set), "fieldsV1");
    entries.push_back(std::move(kept));
  }
  entries.push_back(entry_of(kind, manager, "Update", fields::unite(std::move(own), changed)));
  json::set(object, std::move(entries), "metadata", "managedFields");
}

}  // namespace lab::apiserver
