#include "orchestrator/apiserver/answers.h"

#include "base/json_arena.h"
#include "base/yaml/yaml.h"
#include "orchestrator/api/codec.h"
#include "orchestrator/apiserver/kind_table.h"

namespace lab::apiserver {
namespace {

http::Response head(const Accepted& accepted, int status) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", std::string(accepted.content_type()));
  return response;
}

json::Object list_meta(const ListMeta& meta) {
  json::Object out{{"resourceVersion", std::to_string(meta.revision)}};
  if (!meta.continue_token.empty()) out["continue"] = meta.continue_token;
  if (meta.remaining) out["remainingItemCount"] = *meta.remaining;
  return out;
}

// A list as its head, the items' own buffers and commas between them.
http::Response raw_list(const View& view, const std::vector<CachedPtr>& items, const ListMeta& meta) {
  static const http::Buffer comma = http::buffer(",\n");
  static const http::Buffer end = http::buffer("]}\n");
  auto response = head(view.accepted, 200);
  response.body.reserve(items.size() * 2 + 2);
  response.body.push_back(http::buffer("{\"kind\":" + json::dump(json::Value(view.kind.list_kind())) +
                                       ",\"apiVersion\":" + json::dump(json::Value(view.kind.api_version())) +
                                       ",\"metadata\":" + json::dump(json::Value(list_meta(meta))) + ",\"items\":["));
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) response.body.push_back(comma);
    response.body.push_back(items[i]->bytes());
  }
  response.body.push_back(end);
  return response;
}

// {"kind":"PartialObjectMetadata",...} around the metadata as it is stored.
void append_partial(const View& view, const CachedObject& object, std::string& out) {
  out += "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/";
  out += view.accepted.shape_version;
  out += "\",\"metadata\":";
  out += object.metadata();
  out += '}';
}

void append_row(const View& view, const CachedObject& object, json::Arena& arena, std::string& out) {
  out += "{\"cells\":";
  out += json::dump(row_cells(view.kind, arena.parse(*object.bytes())));
  out += ",\"object\":";
  if (view.include == IncludeObject::kMetadata) append_partial(view, object, out);
  if (view.include == IncludeObject::kObject) out += *object.bytes();
  if (view.include == IncludeObject::kNone) out += "null";
  out += '}';
}

// A Table or a PartialObjectMetadataList as text: what kubectl asks of thousands of objects. Only the cells are made;
// the rest is stored text.
http::Response spliced_list(const View& view, const std::vector<CachedPtr>& items, const ListMeta& meta) {
  const bool table = view.accepted.shape == Shape::kTable;
  const auto& version = view.accepted.shape_version;
  // Without its items: it ends with "]}".
  std::string text = json::dump(table ? table_of(view.kind, version, {}, list_meta(meta), true)
                                      : json::Value(json::Object{{"kind", "PartialObjectMetadataList"},
                                                                 {"apiVersion", "meta.k8s.io/" + version},
                                                                 {"metadata", list_meta(meta)},
                                                                 {"items", json::Array()}}));
  text.resize(text.size() - 2);
  json::Arena arena;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += ',';
    if (table)
      append_row(view, *items[i], arena, text);
    else
      append_partial(view, *items[i], text);
  }
  text += "]}\n";
  auto response = head(view.accepted, 200);
  response.body.push_back(http::buffer(std::move(text)));
  return response;
}

// Values of the requested version as a list, a Table or a PartialObjectMetadataList.
json::Value shaped_list(const View& view, json::Array values, json::Object meta) {
  const auto& version = view.accepted.shape_version;
  for (auto& value : values) {
    if (view.accepted.shape == Shape::kTable) value = table_row(view.kind, version, view.include, value);
    if (view.accepted.shape == Shape::kPartial) value = partial_of(version, value);
  }
  if (view.accepted.shape == Shape::kTable)
    return table_of(view.kind, version, std::move(values), std::move(meta), true);
  bool partial = view.accepted.shape == Shape::kPartial;
  return json::Object{{"kind", partial ? "PartialObjectMetadataList" : view.kind.list_kind()},
                      {"apiVersion", partial ? "meta.k8s.io/" + version : view.kind.api_version()},
                      {"metadata", std::move(meta)},
                      {"items", std::move(values)}};
}

}  // namespace

json::Value View::value(const CachedObject& object) const {
  json::Value out = object.copy();
  if (!raw()) convert_version(storage, kind, out);
  if (const auto* custom = as_custom(kind); custom && custom->has_defaults) default_custom(custom->object_schema, out);
  return out;
}

Result<http::Response> answer_plain(const Accepted& accepted, const json::Value& value, int status) {
  auto response = head(accepted, status);
  switch (accepted.format) {
    case Format::kYaml:
      response.body.push_back(http::buffer(yaml::dump(value)));
      break;
    case Format::kProtobuf: {
      auto bytes = api::encode_protobuf(value);
      if (bytes) {
        response.body.push_back(http::buffer(std::move(*bytes)));
        break;
      }
      response.headers.set("Content-Type", "application/json");  // no protobuf form after all
      response.body.push_back(http::buffer(json::dump(value)));
      break;
    }
    case Format::kJson:
      response.body.push_back(http::buffer((accepted.pretty ? json::dump_pretty(value, 2) : json::dump(value)) + "\n"));
      break;
  }
  return response;
}

Result<http::Response> answer_value(const View& view, json::Value value, int status) {
  if (view.accepted.shape == Shape::kTable) {
    json::Object meta;
    if (auto rv = json::str(value, "metadata", "resourceVersion"); !rv.empty()) meta["resourceVersion"] = rv;
    json::Array rows;
    rows.push_back(table_row(view.kind, view.accepted.shape_version, view.include, value));
    value = table_of(view.kind, view.accepted.shape_version, std::move(rows), std::move(meta), true);
  } else if (view.accepted.shape == Shape::kPartial) {
    value = partial_of(view.accepted.shape_version, value);
  }
  return answer_plain(view.accepted, value, status);
}

Result<http::Response> answer_object(const View& view, const CachedObject& object, int status) {
  if (view.raw() && view.accepted.format == Format::kJson && view.accepted.shape == Shape::kObject &&
      !view.accepted.pretty) {
    static const http::Buffer newline = http::buffer("\n");
    auto response = head(view.accepted, status);
    response.body = {object.bytes(), newline};
    return response;
  }
  return answer_value(view, view.value(object), status);
}

Result<http::Response> answer_list(const View& view, const std::vector<CachedPtr>& items, const ListMeta& meta) {
  const auto& accepted = view.accepted;
  if (accepted.format == Format::kJson && !accepted.pretty && view.raw())
    return accepted.shape == Shape::kObject ? raw_list(view, items, meta) : spliced_list(view, items, meta);
  json::Array list;
  list.reserve(items.size());
  for (const auto& item : items) list.push_back(view.value(*item));
  return answer_plain(accepted, shaped_list(view, std::move(list), list_meta(meta)), 200);
}

Result<http::Response> answer_values(const View& view, json::Value list) {
  auto& items = json::ensure(list, "items");
  auto meta = json::map(list, "metadata");
  return answer_plain(
      view.accepted,
      shaped_list(view, items.is_array() ? std::move(items.get_array()) : json::Array(), std::move(meta)), 200);
}

}  // namespace lab::apiserver
