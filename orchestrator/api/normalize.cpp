// JSON from outside to what Go's decoder and encoder would leave of it: unknown fields, nulls and empty values gone,
// quantities and times in canonical form, wrong types refused in Go's words.
#include <charconv>

#include "orchestrator/api/base64.h"
#include "orchestrator/api/codec.h"
#include "orchestrator/api/duration.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/api/time.h"

namespace lab::api {

namespace {

std::string_view json_word(const json::Value& v) {
  if (v.is_string()) return "string";
  if (v.is_bool()) return "bool";
  if (v.is_number()) return "number";
  return v.is_array() ? "array" : "object";
}

// The dotted path of a field, built only when an error needs it.
struct Path {
  const Path* above;
  std::string_view name;
  std::string text() const {
    return above && !above->name.empty() ? above->text() + "." + std::string(name) : std::string(name);
  }
};

// Where a value stands, for error messages.
struct Place {
  const Type& owner;
  const Field& field;
  const Path& path;
};

Failure mismatch(const Place& place, std::string_view found, std::string_view go_type) {
  return fail(Code::kBadRequest, "json: cannot unmarshal " + std::string(found) + " into Go struct field " +
                                     std::string(place.owner.short_name()) + "." + place.path.text() + " of type " +
                                     std::string(go_type));
}

std::string_view element_type(std::string_view go_type) {
  if (go_type.starts_with("[]")) return go_type.substr(2);
  if (go_type.starts_with("map[")) return go_type.substr(go_type.find(']') + 1);
  return go_type;
}

class Normalizer {
 public:
  Result<void> message(const Type& type, json::Object& object, const Path& path) {
    std::vector<std::string> gone;
    for (auto& entry : object) {
      const std::string_view name = entry.key();
      const Field* f = type.by_json(name);
      if (!f || entry.value().is_null()) {
        gone.emplace_back(name);
        continue;
      }
      const Path below{&path, f->name};
      LAB_CHECK(field({type, *f, below}, entry.value()));
      // An empty list or map is an absent one wherever it stands: protobuf cannot tell them apart.
      if ((f->omit_empty || f->repeated || f->map) && is_empty(*f, entry.value())) gone.emplace_back(name);
    }
    for (const auto& name : gone) object.stable_erase(object.find(name));
    return {};
  }

 private:
  static bool is_empty(const Field& f, const json::Value& v) {
    if (v.is_null()) return true;
    if (f.repeated || f.base == Base::kStringList) return v.is_array() && v.get_array().empty();
    if (f.map) return v.is_object() && v.get_object().empty();
    if (f.pointer) return false;
    switch (f.base) {
      case Base::kString:
      case Base::kBytes:
        return json::as_str(v).empty();
      case Base::kBool:
        return !json::as_bool(v);
      case Base::kInt32:
      case Base::kInt64:
      case Base::kUint32:
      case Base::kUint64:
      case Base::kDouble:
        return v.to_number<double>() == 0;
      default:
        return false;
    }
  }

  Result<void> field(const Place& place, json::Value& v) {
    const Field& f = place.field;
    if (f.repeated) {
      if (!v.is_array()) return mismatch(place, json_word(v), f.go_type);
      for (auto& item : v.get_array()) LAB_CHECK(element(place, item));
      return {};
    }
    if (f.map) {
      if (!v.is_object()) return mismatch(place, json_word(v), f.go_type);
      for (auto& entry : v.get_object()) LAB_CHECK(element(place, entry.value()));
      return {};
    }
    return value(place, v, f.go_type);
  }

  Result<void> element(const Place& place, json::Value& v) {
    if (v.is_null()) {  // Go leaves the element's zero value
      switch (place.field.base) {
        case Base::kString:
        case Base::kBytes:
          v = "";
          break;
        case Base::kQuantity:
          v = "0";
          break;
        case Base::kMessage:
          v = json::Object();
          break;
        default:
          break;
      }
      return {};
    }
    return value(place, v, element_type(place.field.go_type));
  }

  Result<void> value(const Place& place, json::Value& v, std::string_view go_type) {
    switch (place.field.base) {
      case Base::kString:
        return v.is_string() ? Result<void>() : mismatch(place, json_word(v), go_type);
      case Base::kBool:
        return v.is_bool() ? Result<void>() : mismatch(place, json_word(v), go_type);
      case Base::kInt32:
        return integer(place, v, go_type, INT32_MIN, INT32_MAX);
      case Base::kUint32:
        return integer(place, v, go_type, 0, UINT32_MAX);
      case Base::kInt64:
      case Base::kUint64:
        return integer(place, v, go_type, INT64_MIN, INT64_MAX);
      case Base::kDouble:
        return v.is_number() ? Result<void>() : mismatch(place, json_word(v), go_type);
      case Base::kMessage:
        if (!v.is_object()) return mismatch(place, json_word(v), go_type);
        return message(*place.field.message, v.get_object(), place.path);
      default:
        return special(place, v, go_type);
    }
  }

  static Result<void> integer(const Place& place, json::Value& v, std::string_view go_type, std::int64_t min,
                              std::int64_t max) {
    if (!v.is_number()) return mismatch(place, json_word(v), go_type);
    if (v.is_uint64() && place.field.base == Base::kUint64) return {};
    if (v.is_int64() && v.get_int64() >= min && v.get_int64() <= max) return {};
    return mismatch(place, "number " + number_text(v), go_type);
  }

  static std::string number_text(const json::Value& v) {
    if (!v.is_double()) return json::dump(v);
    char buffer[40];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, v.get_double()).ptr;
    return {buffer, end};
  }

  Result<void> special(const Place& place, json::Value& v, std::string_view go_type) {
    switch (place.field.base) {
      case Base::kBytes: {
        if (!v.is_string()) return mismatch(place, json_word(v), go_type);
        LAB_TRY(const auto bytes, base64_decode(json::as_str(v)));
        if (json::as_str(v).find_first_of("\r\n") != std::string_view::npos) v = base64_encode(bytes);
        return {};
      }
      case Base::kQuantity:
        return quantity(v);
      case Base::kTime:
      case Base::kMicroTime:
        return time(place, v, go_type);
      case Base::kDuration: {
        if (!v.is_string()) return fail(Code::kBadRequest, mismatch_value(v, "string"));
        const auto d = parse_duration(json::as_str(v));
        if (!d) return fail(Code::kBadRequest, "time: invalid duration " + json::dump(v));
        v = format_duration(*d);
        return {};
      }
      case Base::kIntOrString:
        if (v.is_string() || (v.is_int64() && v.get_int64() >= INT32_MIN && v.get_int64() <= INT32_MAX)) return {};
        return fail(Code::kBadRequest, mismatch_value(v, "int32"));
      case Base::kStringList:
        if (!v.is_array()) return mismatch(place, json_word(v), go_type);
        for (const auto& item : v.get_array())
          if (!item.is_string()) return mismatch(place, json_word(item), "string");
        return {};
      case Base::kSchemaOrBool:
      case Base::kSchemaOrArray:
      case Base::kSchemaOrStrings:
        return schema_or(place, v);
      default:
        return {};  // RawExtension, JSON, FieldsV1: whatever it is
    }
  }

  static std::string mismatch_value(const json::Value& v, std::string_view go_type) {
    const std::string found = v.is_number() ? "number " + number_text(v) : std::string(json_word(v));
    return "json: cannot unmarshal " + found + " into Go value of type " + std::string(go_type);
  }

  static Result<void> quantity(json::Value& v) {
    std::string text = v.is_string() ? std::string(json::as_str(v)) : v.is_number() ? number_text(v) : json::dump(v);
    text.erase(0, text.find_first_not_of(" \t"));
    text.erase(text.find_last_not_of(" \t") + 1);
    auto parsed = Quantity::parse(text);
    if (!parsed) return fail(Code::kBadRequest, parsed.error().message);
    std::string canonical = parsed->canonical();
    if (!v.is_string() || json::as_str(v) != canonical) v = canonical;
    return {};
  }

  static Result<void> time(const Place& place, json::Value& v, std::string_view go_type) {
    if (!v.is_string()) return fail(Code::kBadRequest, mismatch_value(v, "string"));
    const auto when = parse_time(json::as_str(v));
    if (!when) {
      const std::string text(json::as_str(v));
      const std::string_view layout =
          place.field.base == Base::kTime ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
      return fail(Code::kBadRequest, "parsing time \"" + text + "\" as \"" + std::string(layout) +
                                         "\": cannot parse \"" + text + "\" as \"2006\"");
    }
    v = place.field.base == Base::kTime ? format_time(*when) : format_micro_time(*when);
    return {};
  }

  Result<void> schema_or(const Place& place, json::Value& v) {
    const Type& schema = *place.field.message;
    if (v.is_object()) return message(schema, v.get_object(), place.path);
    if (place.field.base == Base::kSchemaOrBool)
      return v.is_bool() ? Result<void>() : fail(Code::kBadRequest, "boolean or JSON schema expected");
    if (!v.is_array()) return fail(Code::kBadRequest, "JSON schema or an array expected");
    for (auto& item : v.get_array()) {
      if (place.field.base == Base::kSchemaOrStrings ? !item.is_string() : !item.is_object())
        return mismatch(place, json_word(item), place.field.go_type);
      if (item.is_object()) LAB_CHECK(message(schema, item.get_object(), place.path));
    }
    return {};
  }
};

void find_unknown(const Type& type, const json::Object& object, const std::string& path, std::vector<std::string>& out);

void find_unknown(const Field& f, const json::Value& v, const std::string& path, std::vector<std::string>& out) {
  if (!f.message) return;
  if (const auto* list = v.if_array()) {
    for (std::size_t i = 0; i < list->size(); ++i)
      if (const auto* object = (*list)[i].if_object())
        find_unknown(*f.message, *object, path + "[" + std::to_string(i) + "]", out);
  } else if (const auto* object = v.if_object()) {
    if (!f.map) return find_unknown(*f.message, *object, path, out);
    for (const auto& [key, item] : *object)
      if (const auto* inner = item.if_object()) find_unknown(*f.message, *inner, path + "." + std::string(key), out);
  }
}

void find_unknown(const Type& type, const json::Object& object, const std::string& path,
                  std::vector<std::string>& out) {
  for (const auto& [key, value] : object) {
    const std::string below = path.empty() ? std::string(key) : path + "." + std::string(key);
    if (const Field* f = type.by_json(key))
      find_unknown(*f, value, below, out);
    else
      out.push_back("unknown field \"" + below + "\"");
  }
}

}  // namespace

Result<void> normalize(const Type& type, json::Value& object) {
  if (!object.is_object()) {
    const std::string package(type.name().substr(0, type.name().rfind('.')));
    return fail(Code::kBadRequest, "json: cannot unmarshal " + std::string(json_word(object)) +
                                       " into Go value of type " + package.substr(package.rfind('.') + 1) + "." +
                                       std::string(type.short_name()));
  }
  return Normalizer().message(type, object.get_object(), Path{nullptr, ""});
}

std::vector<std::string> unknown_fields(const Type& type, const json::Value& object) {
  std::vector<std::string> out;
  find_unknown(type, json::as_object(object), "", out);
  return out;
}

}  // namespace lab::api
