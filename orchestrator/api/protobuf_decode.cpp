// Protobuf to JSON, driven by the schema's field numbers.
#include <charconv>
#include <chrono>

#include "orchestrator/api/base64.h"
#include "orchestrator/api/codec.h"
#include "orchestrator/api/duration.h"
#include "orchestrator/api/time.h"
#include "orchestrator/api/wire.h"

namespace lab::api {

namespace {

constexpr int kMaxDepth = static_cast<int>(json::kMaxDepth);
// What system_clock holds: the years 1678 to 2261.
constexpr std::int64_t kMaxSeconds = 9'000'000'000;

bool valid_utf8(std::string_view s) {
  const auto* p = reinterpret_cast<const unsigned char*>(s.data());
  const auto* end = p + s.size();
  while (p < end) {
    if (*p < 0x80) {
      ++p;
      continue;
    }
    const int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
    if (*p < 0xc2 || *p > 0xf4 || end - p <= more) return false;
    const unsigned second = p[1];
    // No overlong forms, no surrogates, nothing above U+10FFFF.
    if ((*p == 0xe0 && second < 0xa0) || (*p == 0xed && second > 0x9f) || (*p == 0xf0 && second < 0x90) ||
        (*p == 0xf4 && second > 0x8f))
      return false;
    for (int i = 1; i <= more; ++i)
      if ((p[i] & 0xc0) != 0x80) return false;
    p += more + 1;
  }
  return true;
}

Failure malformed(std::size_t offset, std::string_view what) {
  return fail(Code::kBadRequest, "malformed protobuf at byte " + std::to_string(offset) + ": " + std::string(what));
}

class Decoder {
 public:
  explicit Decoder(int depth) : depth_(depth) {}

  Result<void> message(const Type& type, std::string_view bytes, std::size_t origin, json::Object& out) {
    if (++depth_ > kMaxDepth) return malformed(origin, "nested too deeply");
    WireReader in(bytes, origin);
    while (!in.done()) {
      LAB_TRY(const auto tag, in.tag());
      const Field* field = type.by_number(tag.number);
      if (!field) {
        LAB_CHECK(in.skip(tag.type));
      } else if (auto done = this->field(*field, tag.type, in, out); !done) {
        return std::unexpected(
            std::move(done).error().with_context(std::string(type.short_name()) + "." + std::string(field->name)));
      }
    }
    --depth_;
    return {};
  }

 private:
  Result<void> field(const Field& f, WireType type, WireReader& in, json::Object& out) {
    if (f.inlined) {
      const std::size_t at = in.offset();
      LAB_TRY(const auto bytes, in.bytes());
      return message(*f.message, bytes, at, out);
    }
    if (f.map) return map_entry(f, in, out);
    if (f.repeated) return element(f, type, in, out);
    // A message that stands twice is merged.
    if (f.base == Base::kMessage)
      if (auto* before = out.if_contains(f.name); before && before->is_object()) {
        const std::size_t at = in.offset();
        LAB_TRY(const auto bytes, in.bytes());
        return message(*f.message, bytes, at, before->get_object());
      }
    LAB_TRY(auto value, this->value(f, type, in));
    const bool empty = value.is_null() || (f.omit_empty && !f.pointer && is_zero(f, value));
    if (!empty) out.insert_or_assign(f.name, std::move(value));
    return {};
  }

  static bool is_zero(const Field& f, const json::Value& v) {
    switch (f.base) {
      case Base::kString:
      case Base::kBytes:
        return json::as_str(v).empty();
      case Base::kBool:
        return !v.get_bool();
      case Base::kInt32:
      case Base::kInt64:
      case Base::kUint32:
      case Base::kUint64:
        return json::as_int(v) == 0;
      case Base::kDouble:
        return v.get_double() == 0;
      case Base::kStringList:
        return v.get_array().empty();
      default:
        return false;  // structs are never empty to Go
    }
  }

  Result<void> element(const Field& f, WireType type, WireReader& in, json::Object& out) {
    auto& list = out.emplace(f.name, json::Array()).first->value().get_array();
    const bool number = f.base == Base::kInt32 || f.base == Base::kInt64 || f.base == Base::kUint32 ||
                        f.base == Base::kUint64 || f.base == Base::kBool;
    if (number && type == WireType::kBytes) {  // packed
      const std::size_t at = in.offset();
      LAB_TRY(const auto bytes, in.bytes());
      WireReader packed(bytes, at);
      while (!packed.done()) {
        LAB_TRY(auto value, this->value(f, WireType::kVarint, packed));
        list.push_back(std::move(value));
      }
      return {};
    }
    LAB_TRY(auto value, this->value(f, type, in));
    list.push_back(std::move(value));
    return {};
  }

  Result<void> map_entry(const Field& f, WireReader& in, json::Object& out) {
    const std::size_t at = in.offset();
    LAB_TRY(const auto bytes, in.bytes());
    auto& object = out.emplace(f.name, json::Object()).first->value().get_object();
    WireReader entry(bytes, at);
    std::string_view key = "";  // never null: it is copied from, even when empty
    json::Value value = zero_of(f);
    while (!entry.done()) {
      LAB_TRY(const auto tag, entry.tag());
      if (tag.number == 1 && tag.type == WireType::kBytes) {
        LAB_TRY(key, entry.bytes());
        if (!valid_utf8(key)) return malformed(entry.offset(), "a map key is no UTF-8");
      } else if (tag.number == 2) {
        LAB_TRY(value, this->value(f, tag.type, entry));
      } else {
        LAB_CHECK(entry.skip(tag.type));
      }
    }
    object.insert_or_assign(key, std::move(value));
    return {};
  }

  static json::Value zero_of(const Field& f) {
    switch (f.base) {
      case Base::kString:
      case Base::kBytes:
        return json::Value("");
      case Base::kQuantity:
        return json::Value("0");
      case Base::kMessage:
        return json::Object();
      case Base::kStringList:
        return json::Array();
      default:
        return nullptr;
    }
  }

  // One value, the tag already read.
  Result<json::Value> value(const Field& f, WireType type, WireReader& in) {
    switch (f.base) {
      case Base::kBool: {
        LAB_TRY(const auto v, number(type, in));
        return json::Value(v != 0);
      }
      case Base::kInt32: {
        LAB_TRY(const auto v, number(type, in));
        return json::Value(static_cast<std::int64_t>(static_cast<std::int32_t>(v)));
      }
      case Base::kInt64: {
        LAB_TRY(const auto v, number(type, in));
        return json::Value(static_cast<std::int64_t>(v));
      }
      case Base::kUint32: {
        LAB_TRY(const auto v, number(type, in));
        return json::Value(static_cast<std::int64_t>(static_cast<std::uint32_t>(v)));
      }
      case Base::kUint64: {
        LAB_TRY(const auto v, number(type, in));
        return v <= INT64_MAX ? json::Value(static_cast<std::int64_t>(v)) : json::Value(v);
      }
      case Base::kDouble: {
        if (type != WireType::kFixed64) return malformed(in.offset(), "a double has another wire type");
        LAB_TRY(const auto v, in.fixed64());
        return json::Value(std::bit_cast<double>(v));
      }
      default:
        break;
    }
    if (type != WireType::kBytes) return malformed(in.offset(), "the field has another wire type");
    LAB_TRY(const auto bytes, in.bytes());
    return delimited(f, bytes, in.offset() - bytes.size());
  }

  static Result<std::uint64_t> number(WireType type, WireReader& in) {
    if (type != WireType::kVarint) return malformed(in.offset(), "the field has another wire type");
    return in.varint();
  }

  Result<json::Value> delimited(const Field& f, std::string_view bytes, std::size_t at) {
    switch (f.base) {
      case Base::kString:
        return text(bytes, at);
      case Base::kBytes:
        return json::Value(base64_encode(bytes));
      case Base::kMessage: {
        json::Object object;
        LAB_CHECK(message(*f.message, bytes, at, object));
        return json::Value(std::move(object));
      }
      default:
        return special(f, bytes, at);
    }
  }

  static Result<json::Value> text(std::string_view bytes, std::size_t at) {
    if (!valid_utf8(bytes)) return malformed(at, "a string is no UTF-8");
    return json::Value(bytes);
  }

  // The small messages behind special JSON forms, read whole: numbers and byte strings by field number.
  struct Small {
    std::uint64_t numbers[4] = {};
    std::vector<std::pair<std::uint32_t, std::string_view>> strings;
    std::string_view first(std::uint32_t number) const {
      for (const auto& [n, s] : strings)
        if (n == number) return s;
      return {};
    }
  };

  static Result<Small> small(std::string_view bytes, std::size_t at) {
    Small out;
    WireReader in(bytes, at);
    while (!in.done()) {
      LAB_TRY(const auto tag, in.tag());
      if (tag.type == WireType::kVarint && tag.number < 4) {
        LAB_TRY(out.numbers[tag.number], in.varint());
      } else if (tag.type == WireType::kBytes) {
        LAB_TRY(const auto s, in.bytes());
        out.strings.emplace_back(tag.number, s);
      } else {
        LAB_CHECK(in.skip(tag.type));
      }
    }
    return out;
  }

  Result<json::Value> special(const Field& f, std::string_view bytes, std::size_t at) {
    LAB_TRY(const Small m, small(bytes, at));
    switch (f.base) {
      case Base::kQuantity: {
        const auto quantity = m.first(1);
        return text(quantity.empty() ? "0" : quantity, at);
      }
      case Base::kTime:
      case Base::kMicroTime:
        return time(f, m, bytes, at);
      case Base::kDuration:
        return json::Value(format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(m.numbers[1]))));
      case Base::kIntOrString:
        if (m.numbers[1] == 0) return json::Value(static_cast<std::int64_t>(static_cast<std::int32_t>(m.numbers[2])));
        return text(m.first(3), at);
      case Base::kStringList: {
        json::Array list;
        for (const auto& [number, s] : m.strings) {
          if (number != 1) continue;
          LAB_TRY(auto item, text(s, at));
          list.push_back(std::move(item));
        }
        return json::Value(std::move(list));
      }
      case Base::kRawExtension:
      case Base::kJson:
      case Base::kFieldsV1:
        return raw(m.first(1), at);
      default:
        return schema_or(f, m, at);
    }
  }

  static Result<json::Value> time(const Field& f, const Small& m, std::string_view bytes, std::size_t at) {
    if (bytes.empty()) return json::Value();  // Go's zero time
    const auto seconds = static_cast<std::int64_t>(m.numbers[1]);
    if (seconds > kMaxSeconds || seconds < -kMaxSeconds) return malformed(at, "a time is out of range");
    const WallTime when{std::chrono::seconds(seconds) +
                        std::chrono::duration_cast<WallTime::duration>(
                            std::chrono::nanoseconds(static_cast<std::int32_t>(m.numbers[2])))};
    return json::Value(f.base == Base::kTime ? format_time(when) : format_micro_time(when));
  }

  static Result<json::Value> raw(std::string_view bytes, std::size_t at) {
    if (bytes.empty()) return json::Value();
    if (bytes.starts_with(kProtobufMagic)) return decode_protobuf(bytes);
    auto value = json::parse(bytes);
    if (!value) return malformed(at, value.error().message);
    return value;
  }

  Result<json::Value> schema_or(const Field& f, const Small& m, std::size_t at) {
    auto schema = [&](std::string_view bytes) -> Result<json::Value> {
      json::Object object;
      LAB_CHECK(message(*f.message, bytes, at, object));
      return json::Value(std::move(object));
    };
    // JSONSchemaPropsOrBool{allows = 1, schema = 2}; OrArray{schema = 1, jSONSchemas = 2}; OrStringArray{schema,
    // property}.
    const std::uint32_t schema_number = f.base == Base::kSchemaOrBool ? 2 : 1;
    json::Array list;
    for (const auto& [number, bytes] : m.strings) {
      if (number == schema_number) return schema(bytes);
      if (f.base == Base::kSchemaOrArray) {
        LAB_TRY(auto item, schema(bytes));
        list.push_back(std::move(item));
      } else {
        LAB_TRY(auto item, text(bytes, at));
        list.push_back(std::move(item));
      }
    }
    if (f.base == Base::kSchemaOrBool) return json::Value(m.numbers[1] != 0);
    return json::Value(std::move(list));
  }

  int depth_;
};

// Envelopes nest through RawExtension; each level is one thread-local step deeper.
thread_local int envelope_depth = 0;
struct EnvelopeScope {
  EnvelopeScope() { ++envelope_depth; }
  ~EnvelopeScope() { --envelope_depth; }
};

}  // namespace

Result<json::Value> decode_message(const Type& type, std::string_view bytes) {
  json::Object object;
  LAB_CHECK(Decoder(0).message(type, bytes, 0, object));
  return json::Value(std::move(object));
}

Result<json::Value> decode_protobuf(std::string_view body) {
  if (!body.starts_with(kProtobufMagic))
    return fail(Code::kBadRequest, "provided data does not appear to be a protobuf message, expected prefix " +
                                       std::string("[107 56 115 0]"));
  const EnvelopeScope scope;
  if (envelope_depth > 8) return malformed(0, "objects nested in objects too deeply");
  std::string_view api_version, kind, raw;
  std::size_t raw_at = 0;
  WireReader in(body.substr(kProtobufMagic.size()), kProtobufMagic.size());
  while (!in.done()) {
    LAB_TRY(const auto tag, in.tag());
    if (tag.type != WireType::kBytes) {
      LAB_CHECK(in.skip(tag.type));
      continue;
    }
    LAB_TRY(const auto bytes, in.bytes());
    if (tag.number == 2) {
      raw = bytes;
      raw_at = in.offset() - bytes.size();
    } else if (tag.number == 3 && !bytes.empty()) {
      return fail(Code::kBadRequest, "protobuf objects with a content encoding are not accepted");
    } else if (tag.number == 1) {
      WireReader meta(bytes, in.offset() - bytes.size());
      while (!meta.done()) {
        LAB_TRY(const auto field, meta.tag());
        if (field.type != WireType::kBytes) {
          LAB_CHECK(meta.skip(field.type));
          continue;
        }
        LAB_TRY(const auto text, meta.bytes());
        if (field.number == 1) api_version = text;
        if (field.number == 2) kind = text;
      }
    }
  }
  const Type* type = type_of(api_version, kind);
  if (!type)
    return fail(Code::kBadRequest,
                "no kind \"" + std::string(kind) + "\" is registered for version \"" + std::string(api_version) + "\"");
  json::Object object;
  object.emplace("kind", kind);
  object.emplace("apiVersion", api_version);
  LAB_CHECK(Decoder(0).message(*type, raw, raw_at, object));
  return json::Value(std::move(object));
}

}  // namespace lab::api
