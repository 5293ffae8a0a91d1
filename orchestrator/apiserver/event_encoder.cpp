#include "orchestrator/apiserver/event_encoder.h"

#include "orchestrator/api/codec.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr std::string_view kInitialEventsEnd = "k8s.io/initial-events-end";

// A WatchEvent message after its length in four bytes, big-endian.
std::string protobuf_frame(std::string_view type, const json::Value& object) {
  auto event = api::encode_watch_event(type, object);
  if (!event) return {};
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(event->size() >> shift & 0xff);
  return out + *event;
}

std::string json_frame(std::string_view type, std::string_view object) {
  std::string out;
  out.reserve(object.size() + 40);
  out += "{\"type\":\"";
  out += type;
  out += "\",\"object\":";
  out += object;
  out += "}\n";
  return out;
}

}  // namespace

std::string_view EventEncoder::content_type() const {
  return view_.accepted.format == Format::kProtobuf ? "application/vnd.kubernetes.protobuf;stream=watch"
                                                    : "application/json";
}

std::string EventEncoder::encode_value(std::string_view type, json::Value object) {
  const auto& accepted = view_.accepted;
  if (accepted.shape == Shape::kTable && type != "ERROR") {
    json::Object meta{{"resourceVersion", json::str(object, "metadata", "resourceVersion")}};
    json::Array rows;
    rows.push_back(table_row(view_.kind, accepted.shape_version, view_.include, object));
    object = table_of(view_.kind, accepted.shape_version, std::move(rows), std::move(meta), !columns_sent_);
    columns_sent_ = true;
  } else if (accepted.shape == Shape::kPartial && type != "ERROR") {
    object = partial_of(accepted.shape_version, object);
  }
  if (accepted.format == Format::kProtobuf) return protobuf_frame(type, object);
  return json_frame(type, json::dump(object));
}

std::string EventEncoder::encode(std::string_view type, const CachedObject& object) {
  if (view_.raw() && view_.accepted.shape == Shape::kObject && view_.accepted.format == Format::kJson)
    return json_frame(type, *object.bytes());
  return encode_value(type, view_.value(object));
}

std::string EventEncoder::added(const CachedObject& object) {
  return encode("ADDED", object);
}

std::string EventEncoder::event(const CacheEvent& event, const Selection& selection) {
  bool was = event.previous && selection.selects(*event.previous);
  bool is = event.type != CacheEvent::kDeleted && selection.selects(*event.object);
  if (is) return encode(was ? "MODIFIED" : "ADDED", *event.object);
  if (!was) return {};
  if (event.type == CacheEvent::kDeleted) return encode("DELETED", *event.object);
  // It lives on, outside the selection: the watcher learns the last state it could see, at the revision of the change.
  auto bytes = replace_revision(*event.previous->bytes(), event.revision);
  if (view_.raw() && view_.accepted.shape == Shape::kObject && view_.accepted.format == Format::kJson)
    return json_frame("DELETED", bytes);
  auto value = view_.value(*event.previous);
  json::set(value, std::to_string(event.revision), "metadata", "resourceVersion");
  return encode_value("DELETED", std::move(value));
}

std::string EventEncoder::bookmark(store::Revision revision, bool initial_events_end) {
  json::Object metadata{{"resourceVersion", std::to_string(revision)}, {"creationTimestamp", nullptr}};
  if (initial_events_end) metadata["annotations"] = json::Object{{kInitialEventsEnd, "true"}};
  return encode_value("BOOKMARK", json::Object{{"kind", view_.kind.kind},
                                               {"apiVersion", view_.kind.api_version()},
                                               {"metadata", std::move(metadata)}});
}

std::string EventEncoder::error(const Error& error) {
  return encode_value("ERROR", status_of(error));
}

}  // namespace lab::apiserver
