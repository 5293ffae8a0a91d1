#include "orchestrator/apiserver/cached_object.h"

#include <algorithm>

#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr std::string_view kMetadataOpen = "\"metadata\":{";

// A dotted path into an object; scalars as selectors see them.
std::string field_text(const json::Value& object, std::string_view path) {
  const json::Value* at = &object;
  while (!path.empty()) {
    auto dot = path.find('.');
    at = &json::at(*at, path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  }
  if (at->is_string()) return std::string(json::as_str(*at));
  if (at->is_bool()) return at->get_bool() ? "true" : "false";
  if (at->is_number()) return json::dump(*at);
  return {};
}

// Defaults that field selectors see although the stored object may leave the field out.
std::string_view absent_value(std::string_view path) {
  if (path == "spec.unschedulable" || path == "spec.hostNetwork") return "false";
  return {};
}

// A field of events.k8s.io/v1 as the stored core/v1 Event calls it.
std::string stored_path(const api::Kind& kind, const std::string& path) {
  if (kind.group != "events.k8s.io") return path;
  if (path.starts_with("regarding.")) return "involvedObject." + path.substr(10);
  return path == "reportingController" ? "reportingComponent" : path;
}

}  // namespace

ObjectMeta meta_of(const api::Kind& kind, const json::Value& object) {
  ObjectMeta meta;
  meta.labels = json::map(object, "metadata", "labels");
  meta.fields.reserve(kind.selectable_fields.size());
  for (const auto& path : kind.selectable_fields) {
    auto text = field_text(object, path);
    if (text.empty()) text = absent_value(path);
    meta.fields.push_back(std::move(text));
  }
  return meta;
}

CachedObject::CachedObject(std::string_view key_rest, const std::string& stored, store::Revision revision,
                           store::Revision create_revision, ObjectMeta meta)
    : bytes_(http::buffer(splice_revision(stored, revision))),
      revision_(revision),
      create_revision_(create_revision),
      meta_(std::move(meta)) {
  auto slash = key_rest.find('/');
  if (slash != std::string_view::npos) ns_ = key_rest.substr(0, slash);
  name_ = slash == std::string_view::npos ? key_rest : key_rest.substr(slash + 1);
}

std::shared_ptr<const json::Value> CachedObject::value(bool keep) const {
  if (auto known = value_.load()) return known;
  auto parsed = json::parse(*bytes_);
  auto value = std::make_shared<const json::Value>(parsed ? std::move(*parsed) : json::Value());
  if (keep) value_.store(value);
  return value;
}

json::Value CachedObject::copy() const {
  if (auto known = value_.load()) return *known;
  auto parsed = json::parse(*bytes_);
  return parsed ? std::move(*parsed) : json::Value();
}

std::string_view CachedObject::api_version() const {
  constexpr std::string_view kField = "\"apiVersion\":\"";
  const std::string_view text = *bytes_;
  const auto at = text.find(kField);  // encode_stored() writes it right behind the kind
  if (at == std::string_view::npos) return {};
  const auto begin = at + kField.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

std::string_view CachedObject::metadata() const {
  const std::string_view text = *bytes_;
  const auto open = text.find(kMetadataOpen);
  if (open == std::string_view::npos) return "{}";
  const auto begin = open + kMetadataOpen.size() - 1;
  bool quoted = false;
  int depth = 0;
  for (auto at = begin; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '\\') {
      ++at;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == '{') {
      ++depth;
    } else if (!quoted && c == '}' && --depth == 0) {
      return text.substr(begin, at + 1 - begin);
    }
  }
  return "{}";
}

std::string encode_stored(const json::Value& object) {
  std::string out = "{\"kind\":" + json::dump(json::at(object, "kind"));
  out += ",\"apiVersion\":" + json::dump(json::at(object, "apiVersion"));
  out += ",\"metadata\":{";
  bool first = true;
  auto field = [&](std::string_view key, const json::Value& value) {
    if (!first) out += ',';
    first = false;
    out += '"';
    out += key;  // keys of objects and metadata come from the schema: nothing to escape
    out += "\":";
    out += json::dump(value);
  };
  for (const auto& [key, value] : json::map(object, "metadata"))
    if (key != "resourceVersion" && key != "selfLink") field(key, value);
  out += '}';
  for (const auto& [key, value] : json::as_object(object))
    if (key != "kind" && key != "apiVersion" && key != "metadata") {
      out += ",";
      out += json::dump(json::Value(key));
      out += ":";
      out += json::dump(value);
    }
  out += '}';
  return out;
}

std::string splice_revision(const std::string& stored, store::Revision revision) {
  auto at = stored.find(kMetadataOpen);
  if (at == std::string::npos) return stored;
  at += kMetadataOpen.size();
  std::string out;
  out.reserve(stored.size() + 48);
  out.append(stored, 0, at);
  out += "\"resourceVersion\":\"";
  out += std::to_string(revision);
  out += stored.compare(at, 1, "}") == 0 ? "\"" : "\",";
  out.append(stored, at, std::string::npos);
  return out;
}

std::string replace_revision(const std::string& bytes, store::Revision revision) {
  constexpr std::string_view kField = "\"metadata\":{\"resourceVersion\":\"";
  auto at = bytes.find(kField);
  if (at == std::string::npos) return bytes;
  at += kField.size();
  std::string out = bytes;
  out.replace(at, bytes.find('"', at) - at, std::to_string(revision));
  return out;
}

std::string storage_key(const api::Kind& kind, std::string_view ns, std::string_view name) {
  std::string key = kind.storage_prefix;
  if (kind.namespaced) {
    key += ns;
    key += '/';
  }
  key += name;
  return key;
}

bool Selection::selects(const CachedObject& object) const {
  if (!ns.empty() && ns != object.ns()) return false;
  if (!name.empty() && name != object.name()) return false;
  for (const auto& field : fields) {
    const auto& meta = object.meta().fields;
    const std::string& actual = field.index == -1   ? object.name()
                                : field.index == -2 ? object.ns()
                                                    : meta[static_cast<std::size_t>(field.index)];
    if ((actual == field.value) != field.equal) return false;
  }
  return labels.empty() || labels.matches(object.meta().labels);
}

Result<Selection> parse_selection(const api::Kind& kind, const api::Kind& storage, std::string_view ns,
                                  std::string_view name, std::string_view label_selector,
                                  std::string_view field_selector) {
  Selection out;
  out.ns = ns;
  out.name = name;
  if (!label_selector.empty()) {
    LAB_TRY(out.labels, api::LabelSelector::parse(label_selector));
  }
  if (field_selector.empty()) return out;
  LAB_TRY(auto fields, api::FieldSelector::parse(field_selector));
  for (const auto& want : fields.requirements()) {
    int index = 0;
    if (want.path == "metadata.name") {
      index = -1;
      if (want.equal && out.name.empty()) out.name = want.value;
    } else if (want.path == "metadata.namespace") {
      index = -2;
    } else {
      auto it = std::ranges::find(storage.selectable_fields, stored_path(kind, want.path));
      if (it == storage.selectable_fields.end()) return Failure(bad_request("field label not supported: " + want.path));
      index = static_cast<int>(it - storage.selectable_fields.begin());
    }
    out.fields.push_back({index, want.value, want.equal});
  }
  return out;
}

}  // namespace lab::apiserver
