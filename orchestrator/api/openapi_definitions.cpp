#include <algorithm>

#include "orchestrator/api/openapi_parts.h"

namespace lab::api {

namespace {

constexpr std::string_view kMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.";
constexpr std::string_view kCrd = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";

// The definition behind a special JSON form; "" for those that are written out in place.
std::string special_name(Base base) {
  switch (base) {
    case Base::kQuantity:
      return "io.k8s.apimachinery.pkg.api.resource.Quantity";
    case Base::kTime:
      return std::string(kMeta) + "Time";
    case Base::kMicroTime:
      return std::string(kMeta) + "MicroTime";
    case Base::kDuration:
      return std::string(kMeta) + "Duration";
    case Base::kFieldsV1:
      return std::string(kMeta) + "FieldsV1";
    case Base::kIntOrString:
      return "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
    case Base::kRawExtension:
      return "io.k8s.apimachinery.pkg.runtime.RawExtension";
    case Base::kJson:
      return std::string(kCrd) + "JSON";
    case Base::kSchemaOrArray:
      return std::string(kCrd) + "JSONSchemaPropsOrArray";
    case Base::kSchemaOrBool:
      return std::string(kCrd) + "JSONSchemaPropsOrBool";
    case Base::kSchemaOrStrings:
      return std::string(kCrd) + "JSONSchemaPropsOrStringArray";
    default:
      return {};
  }
}

json::Object scalar(std::string_view type, std::string_view format = {}) {
  json::Object out{{"type", json::Value(type)}};
  if (!format.empty()) out["format"] = json::Value(format);
  return out;
}

json::Array strings(const std::vector<std::string_view>& list) {
  json::Array out;
  for (std::string_view s : list) out.push_back(json::Value(s));
  return out;
}

json::Array gvk_extension(const std::vector<GroupVersionKind>& kinds) {
  json::Array out;
  for (const auto& k : kinds)
    out.push_back(json::Object{
        {"group", json::Value(k.group)}, {"kind", json::Value(k.kind)}, {"version", json::Value(k.version)}});
  return out;
}

// "stable.example.com" -> "com.example.stable", as Kubernetes names the models of custom resources.
std::string reversed(std::string_view group) {
  std::string out;
  while (!group.empty()) {
    const std::size_t dot = group.rfind('.');
    out += std::string(dot == group.npos ? group : group.substr(dot + 1)) + ".";
    group = group.substr(0, dot == group.npos ? 0 : dot);
  }
  return out;
}

// What Swagger 2.0 cannot say is left out of a custom resource's schema.
void strip_for_v2(json::Value& schema) {
  if (auto* list = schema.if_array())
    for (auto& item : *list) strip_for_v2(item);
  auto* object = schema.if_object();
  if (!object) return;
  for (std::string_view key : {"oneOf", "anyOf", "allOf", "not", "nullable", "default"}) object->erase(key);
  if (json::flag(schema, "x-kubernetes-int-or-string") || json::flag(schema, "x-kubernetes-preserve-unknown-fields")) {
    object->erase("type");
    object->erase("properties");
  }
  for (auto& [key, value] : *object) {
    // Below these stand names that people chose.
    if (key == "properties" && value.is_object())
      for (auto& [name, property] : value.get_object()) strip_for_v2(property);
    else if (key == "items" || key == "additionalProperties")
      strip_for_v2(value);
  }
}

}  // namespace

std::string OpenApiDefinitions::ref(const Type& type) {
  if (seen_.insert(&type).second) todo_.push_back(&type);
  return prefix() + type.openapi_name();
}

std::string OpenApiDefinitions::special_ref(std::string_view name) {
  auto [it, fresh] = done_.try_emplace(std::string(name));
  if (fresh) it->second = special(name);
  return prefix() + it->first;
}

std::string OpenApiDefinitions::meta_ref(std::string_view short_name) {
  return ref(*find_type("k8s.io.apimachinery.pkg.apis.meta.v1." + std::string(short_name)));
}

std::string OpenApiDefinitions::ref(const Kind& kind) {
  if (const Type* type = find_type(kind.schema)) return ref(*type);
  const std::string name = reversed(kind.group) + kind.version + "." + kind.kind;
  custom_definitions(kind, name);
  return prefix() + name;
}

std::string OpenApiDefinitions::list_ref(const Kind& kind) {
  if (const Type* type = find_type(kind.schema + "List")) return ref(*type);
  return ref(kind) + "List";
}

void OpenApiDefinitions::custom_definitions(const Kind& kind, const std::string& name) {
  if (done_.contains(name)) return;
  json::Value schema = custom_ ? custom_(kind) : json::Value();
  if (!schema.is_object()) schema = json::Object{{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  if (!v3_) strip_for_v2(schema);
  const Type& meta = *find_type("k8s.io.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata");
  auto own = [&](json::Value& target, std::string_view list_kind) {
    auto& properties = json::ensure(target, "properties");
    if (!properties.is_object()) properties = json::Object();
    for (const Field& f : meta.fields()) {
      if (f.name == "metadata") continue;
      json::Object property{{"type", "string"}, {"description", json::Value(f.doc)}};
      properties.get_object().insert_or_assign(f.name, std::move(property));
    }
    const bool list = !list_kind.empty();
    json::Object metadata{{"description", list ? "Standard list metadata." : "Standard object's metadata."}};
    if (v3_)
      metadata["allOf"] = json::Array{json::Object{{"$ref", meta_ref(list ? "ListMeta" : "ObjectMeta")}}};
    else
      metadata["$ref"] = meta_ref(list ? "ListMeta" : "ObjectMeta");
    properties.get_object().insert_or_assign("metadata", std::move(metadata));
    const std::string shown = list ? kind.list_kind() : kind.kind;
    json::set(target, json::Value(gvk_extension({{kind.group, kind.version, shown}})),
              "x-kubernetes-group-version-kind");
  };
  own(schema, "");
  done_[name] = std::move(schema);
  json::Value list = json::Object{
      {"description", kind.list_kind() + " is a list of " + kind.kind},
      {"type", "object"},
      {"required", json::Array{"items"}},
      {"properties", json::Object{{"items", json::Object{{"type", "array"},
                                                         {"description", "List of " + kind.plural},
                                                         {"items", json::Object{{"$ref", prefix() + name}}}}}}}};
  own(list, kind.list_kind());
  done_[name + "List"] = std::move(list);
}

json::Object OpenApiDefinitions::special(std::string_view name) const {
  const std::string_view kind = name.substr(name.rfind('.') + 1);
  if (kind == "Quantity") {
    json::Object out{
        {"description",
         "Quantity is a fixed-point number: digits with an optional suffix of powers of 1000 (n, u, m, k, M, "
         "G, T, P, E), of 1024 (Ki, Mi, Gi, Ti, Pi, Ei) or a decimal exponent. Values are kept in canonical "
         "form: no fraction, the largest possible suffix."}};
    if (v3_)
      out["oneOf"] = json::Array{scalar("string"), scalar("number")};
    else
      out["type"] = "string";
    return out;
  }
  if (kind == "IntOrString") {
    json::Object out{{"description", "IntOrString is a type that can hold an int32 or a string."},
                     {"format", "int-or-string"}};
    if (v3_)
      out["oneOf"] = json::Array{scalar("integer"), scalar("string")};
    else
      out["type"] = "string";
    return out;
  }
  if (kind == "Time") {
    auto out = scalar("string", "date-time");
    out["description"] = "Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.";
    return out;
  }
  if (kind == "MicroTime") {
    auto out = scalar("string", "date-time");
    out["description"] = "MicroTime is version of Time with microsecond level precision.";
    return out;
  }
  if (kind == "Duration") {
    auto out = scalar("string");
    out["description"] = "Duration is a span of time such as \"1h30m\" or \"10s\".";
    return out;
  }
  if (kind == "FieldsV1")
    return {{"type", "object"},
            {"description",
             "FieldsV1 stores a set of fields as a trie in JSON: keys are 'f:<name>' for fields, 'v:<value>' for set "
             "items, 'i:<index>' and 'k:<keys>' for list items, '.' for the item itself."}};
  if (kind == "RawExtension")
    return {{"type", "object"}, {"description", "RawExtension holds an object of any kind, in JSON."}};
  if (kind == "JSON") return {{"description", "JSON represents any valid JSON value."}};
  return {{"description", std::string(kind) + " is a JSON schema or one of its short forms."}};
}

// The schema of one value of a field, list and map apart.
json::Object OpenApiDefinitions::value(const Field& f) {
  switch (f.base) {
    case Base::kString:
      return scalar("string");
    case Base::kBool:
      return scalar("boolean");
    case Base::kInt32:
    case Base::kUint32:
      return scalar("integer", "int32");
    case Base::kInt64:
    case Base::kUint64:
      return scalar("integer", "int64");
    case Base::kDouble:
      return scalar("number", "double");
    case Base::kBytes:
      return scalar("string", "byte");
    case Base::kStringList:
      return {{"type", "array"}, {"items", scalar("string")}};
    case Base::kMessage:
      return {{"$ref", ref(*f.message)}};
    default:
      if (f.message) ref(*f.message);
      return {{"$ref", special_ref(special_name(f.base))}};
  }
}

json::Object OpenApiDefinitions::property(const Type&, const Field& f) {
  json::Object inner = value(f);
  const bool message = f.base == Base::kMessage;
  if (v3_ && (f.repeated || f.map) && message)  // a list's items of a message type have the empty object as default
    inner = json::Object{{"allOf", json::Array{std::move(inner)}}, {"default", json::Object()}};
  json::Object out;
  if (f.repeated) {
    if (!f.enum_values.empty()) inner["enum"] = strings(f.enum_values);
    out = {{"type", "array"}, {"items", std::move(inner)}};
  } else if (f.map) {
    out = {{"type", "object"}, {"additionalProperties", std::move(inner)}};
  } else {
    // OpenAPI 3.0 ignores what stands beside a $ref: it is wrapped.
    if (v3_ && inner.contains("$ref")) {
      out["allOf"] = json::Array{std::move(inner)};
      if (message && !f.pointer) out["default"] = json::Object();
    } else {
      out = std::move(inner);
    }
    if (!f.enum_values.empty()) out["enum"] = strings(f.enum_values);
    if (v3_ && !f.default_value.empty())
      if (auto value = json::parse(f.default_value)) out["default"] = *value;
  }
  if (!f.doc.empty()) out["description"] = json::Value(f.doc);
  if (!f.list_type.empty())
    out[f.repeated ? "x-kubernetes-list-type" : "x-kubernetes-map-type"] = json::Value(f.list_type);
  if (!f.list_map_keys.empty()) out["x-kubernetes-list-map-keys"] = strings(f.list_map_keys);
  if (!f.patch_strategy.empty()) out["x-kubernetes-patch-strategy"] = json::Value(f.patch_strategy);
  if (!f.patch_merge_key.empty()) out["x-kubernetes-patch-merge-key"] = json::Value(f.patch_merge_key);
  return out;
}

json::Object OpenApiDefinitions::definition(const Type& type) {
  json::Object out{{"type", "object"}};
  if (!type.doc().empty()) out["description"] = json::Value(type.doc());
  json::Object properties;
  json::Array required;
  auto add = [&](auto&& self, const Type& t) -> void {
    for (const Field& f : t.fields()) {
      if (f.inlined) {
        self(self, *f.message);
        continue;
      }
      properties[f.name] = property(t, f);
      if (f.required) required.push_back(json::Value(f.name));
    }
  };
  add(add, type);
  if (!required.empty()) out["required"] = std::move(required);
  if (!properties.empty()) out["properties"] = std::move(properties);
  if (type.atomic()) out["x-kubernetes-map-type"] = "atomic";
  if (const auto kinds = kinds_of(type); !kinds.empty()) out["x-kubernetes-group-version-kind"] = gvk_extension(kinds);
  return out;
}

json::Object OpenApiDefinitions::take() {
  while (!todo_.empty()) {
    const Type* type = todo_.back();
    todo_.pop_back();
    done_[type->openapi_name()] = definition(*type);
  }
  json::Object out;
  out.reserve(done_.size());
  for (auto& [name, schema] : done_) out.emplace(name, std::move(schema));
  return out;
}

}  // namespace lab::api
