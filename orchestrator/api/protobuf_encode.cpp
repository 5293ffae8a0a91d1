// JSON to protobuf, driven by the schema's field numbers. Fields are written in the order of their numbers and maps in
// the order of their keys, so that equal objects give equal bytes (as Go's generated code does).
#include <algorithm>
#include <bit>
#include <chrono>

#include "orchestrator/api/base64.h"
#include "orchestrator/api/codec.h"
#include "orchestrator/api/time.h"
#include "orchestrator/api/wire.h"

namespace lab::api {

namespace {

class Encoder {
 public:
  Result<void> message(const Type& type, const json::Object& object) {
    for (const Field* f : type.wire_fields()) {
      if (auto done = field(*f, object); !done)
        return std::unexpected(
            std::move(done).error().with_context(std::string(type.short_name()) + "." + std::string(f->name)));
    }
    return {};
  }
  WireWriter out;

 private:
  static Failure wrong_type() { return fail(Code::kBadRequest, "the JSON value has another type than the field"); }

  Result<void> field(const Field& f, const json::Object& object) {
    if (f.inlined) {
      const std::size_t begun = out.begin(f.number);
      LAB_CHECK(message(*f.message, object));
      out.end(begun);
      return {};
    }
    const auto* found = object.if_contains(f.name);
    if (!found || found->is_null()) return {};
    if (f.map) return map(f, *found);
    if (!f.repeated) return value(f, f.number, *found);
    if (!found->is_array()) return wrong_type();
    for (const auto& item : found->get_array()) LAB_CHECK(value(f, f.number, item));
    return {};
  }

  Result<void> map(const Field& f, const json::Value& v) {
    if (!v.is_object()) return wrong_type();
    std::vector<const json::Object::value_type*> entries;
    for (const auto& entry : v.get_object()) entries.push_back(&entry);
    std::ranges::sort(entries, {}, [](const auto* e) { return std::string_view(e->key()); });
    for (const auto* entry : entries) {
      const std::size_t begun = out.begin(f.number);
      out.bytes(1, entry->key());
      // A null is Go's zero value: an empty message.
      if (!entry->value().is_null()) {
        LAB_CHECK(value(f, 2, entry->value()));
      } else {
        out.bytes(2, "");
      }
      out.end(begun);
    }
    return {};
  }

  Result<void> value(const Field& f, std::uint32_t number, const json::Value& v) {
    switch (f.base) {
      case Base::kString:
        if (!v.is_string()) return wrong_type();
        out.bytes(number, json::as_str(v));
        return {};
      case Base::kBool:
        if (!v.is_bool()) return wrong_type();
        out.varint(number, v.get_bool());
        return {};
      case Base::kInt32:
      case Base::kInt64:
      case Base::kUint32:
      case Base::kUint64:
        if (!v.is_number()) return wrong_type();
        out.varint(number, v.is_uint64() ? v.get_uint64() : static_cast<std::uint64_t>(json::as_int(v)));
        return {};
      case Base::kDouble:
        if (!v.is_number()) return wrong_type();
        out.fixed64(number, std::bit_cast<std::uint64_t>(v.to_number<double>()));
        return {};
      case Base::kBytes: {
        if (!v.is_string()) return wrong_type();
        LAB_TRY(const auto bytes, base64_decode(json::as_str(v)));
        out.bytes(number, bytes);
        return {};
      }
      default:
        break;
    }
    const std::size_t begun = out.begin(number);
    LAB_CHECK(f.base == Base::kMessage ? nested(f, v) : special(f, v));
    out.end(begun);
    return {};
  }

  Result<void> nested(const Field& f, const json::Value& v) {
    if (v.is_null()) return {};
    if (!v.is_object()) return wrong_type();
    return message(*f.message, v.get_object());
  }

  Result<void> special(const Field& f, const json::Value& v) {
    switch (f.base) {
      case Base::kQuantity:
        out.bytes(1, v.is_string() ? std::string(json::as_str(v)) : json::dump(v));
        return {};
      case Base::kTime:
      case Base::kMicroTime:
        return time(f, v);
      case Base::kDuration: {
        const auto d = parse_duration(json::as_str(v));
        if (!d) return wrong_type();
        out.varint(1, static_cast<std::uint64_t>(d->count()));
        return {};
      }
      case Base::kIntOrString:
        if (!v.is_number() && !v.is_string()) return wrong_type();
        out.varint(1, v.is_string());
        out.varint(2, v.is_string() ? 0 : static_cast<std::uint64_t>(json::as_int(v)));
        out.bytes(3, json::as_str(v));
        return {};
      case Base::kStringList:
        for (const auto& item : json::as_array(v)) out.bytes(1, json::as_str(item));
        return {};
      case Base::kRawExtension:
      case Base::kJson:
      case Base::kFieldsV1:
        if (!v.is_null()) out.bytes(1, json::dump(v));
        return {};
      default:
        return schema_or(f, v);
    }
  }

  Result<void> time(const Field& f, const json::Value& v) {
    if (v.is_null()) return {};
    const auto when = parse_time(json::as_str(v));
    if (!when) return wrong_type();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(when->time_since_epoch());
    const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(when->time_since_epoch() - seconds);
    out.varint(1, static_cast<std::uint64_t>(seconds.count()));
    out.varint(2, f.base == Base::kMicroTime ? static_cast<std::uint64_t>(nanos.count()) : 0);
    return {};
  }

  Result<void> schema_or(const Field& f, const json::Value& v) {
    auto schema = [&](std::uint32_t number, const json::Value& item) -> Result<void> {
      if (!item.is_object()) return wrong_type();
      const std::size_t begun = out.begin(number);
      LAB_CHECK(message(*f.message, item.get_object()));
      out.end(begun);
      return {};
    };
    if (f.base == Base::kSchemaOrBool) {
      out.varint(1, v.is_object() || json::as_bool(v));
      return v.is_object() ? schema(2, v) : Result<void>();
    }
    if (v.is_object()) return schema(1, v);
    for (const auto& item : json::as_array(v)) {
      if (f.base == Base::kSchemaOrStrings)
        out.bytes(2, json::as_str(item));
      else
        LAB_CHECK(schema(2, item));
    }
    return {};
  }
};

}  // namespace

Result<std::string> encode_message(const Type& type, const json::Value& object) {
  Encoder encoder;
  LAB_CHECK(encoder.message(type, json::as_object(object)));
  return std::move(encoder.out).take();
}

Result<std::string> encode_protobuf(const json::Value& object) {
  const auto api_version = json::str(object, "apiVersion"), kind = json::str(object, "kind");
  const Type* type = type_of(api_version, kind);
  if (!type)
    return fail(Code::kNotAcceptable,
                "object " + std::string(kind) + " of " + std::string(api_version) +
                    " does not implement the protobuf marshalling interface and cannot be encoded "
                    "to a protobuf message");
  Encoder encoder;
  encoder.out.append(kProtobufMagic);
  const std::size_t meta = encoder.out.begin(1);
  encoder.out.bytes(1, api_version);
  encoder.out.bytes(2, kind);
  encoder.out.end(meta);
  const std::size_t raw = encoder.out.begin(2);
  LAB_CHECK(encoder.message(*type, json::as_object(object)));
  encoder.out.end(raw);
  encoder.out.bytes(3, "");
  encoder.out.bytes(4, "");
  return std::move(encoder.out).take();
}

Result<std::string> encode_watch_event(std::string_view event_type, const json::Value& object) {
  LAB_TRY(const auto enveloped, encode_protobuf(object));
  WireWriter out;
  out.bytes(1, event_type);
  const std::size_t extension = out.begin(2);
  out.bytes(1, enveloped);
  out.end(extension);
  return std::move(out).take();
}

}  // namespace lab::api
