// Schema: the types of the Kubernetes API, generated at build time from the API's own definitions (proto and Go sources
// of Debian's golang-k8s-* packages) and embedded in compact form. One description drives protobuf, OpenAPI, strict
// field validation, pruning, structural defaulting, strategic merge and server-side apply.
//
// Types are read out of the embedded data when first asked for, so an idle process pays only for those it has used.
// Immutable; any thread; everything lives until the process ends.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab::api {

class Type;

enum class Base : std::uint8_t {
  kString,
  kBool,
  kInt32,
  kInt64,
  kUint32,
  kUint64,
  kDouble,
  kBytes,
  kMessage,  // another Type
  // Special JSON forms:
  kQuantity,
  kTime,
  kMicroTime,
  kIntOrString,
  kRawExtension,
  kJson,
  kFieldsV1,
  kDuration,
  kStringList,  // a JSON array of strings that is a message on the wire (Verbs, ExtraValue)
  kSchemaOrArray,
  kSchemaOrBool,
  kSchemaOrStrings,  // JSONSchemaProps, or an array of them, a bool, strings
};

struct Field {
  std::string_view name;     // JSON name
  std::uint32_t number = 0;  // protobuf field number; 0: never on the wire (apiVersion, kind)
  Base base = Base::kString;
  const Type* message = nullptr;  // for kMessage and kSchemaOr...
  bool repeated = false;
  bool map = false;                 // map<string, base>
  bool inlined = false;             // json:",inline": the message's fields stand in the parent
  bool omit_empty = true;           // a zero value is left out of JSON
  bool pointer = false;             // optional: zero is kept when present
  bool required = false;            // in OpenAPI's sense
  std::string_view patch_strategy;  // "merge", "replace", "retainKeys", "merge,retainKeys"
  std::string_view patch_merge_key;
  std::string_view list_type;  // "atomic", "set", "map"
  std::vector<std::string_view> list_map_keys;
  std::string_view default_value;             // JSON text of +default
  std::string_view go_type;                   // "int32", "[]v1.Container": for error messages
  std::vector<std::string_view> enum_values;  // of a +enum type
  std::string_view doc;
};

class Type {
 public:
  std::string_view name() const { return name_; }  // "k8s.io.api.core.v1.Pod"
  std::string_view short_name() const;             // "Pod"
  std::string openapi_name() const;                // "io.k8s.api.core.v1.Pod"
  std::string_view doc() const;
  bool atomic() const;                                     // +structType=atomic: one writer owns it whole
  const std::vector<Field>& fields() const;                // in Go's order, which is the order of JSON output
  const Field* by_json(std::string_view json_name) const;  // looks through inlined messages too
  const Field* by_number(std::uint32_t number) const;
  const std::vector<const Field*>& wire_fields() const;  // those with a number, in its order: the order on the wire

 private:
  friend struct SchemaReader;
  struct Detail;
  const Detail& detail() const;
  std::string_view name_;
  mutable std::atomic<const Detail*> detail_ = nullptr;
};

// By name as above; null when unknown.
const Type* find_type(std::string_view name);
// The root type of an apiVersion and kind: also List kinds, and the meta kinds (Status, DeleteOptions, ...) that every
// group version has; null when unknown.
const Type* type_of(std::string_view api_version, std::string_view kind);
// All types, sorted by name.
std::span<const Type> all_types();
// The group, version and kind of every root type, for OpenAPI's x-kubernetes-group-version-kind.
struct GroupVersionKind {
  std::string_view group, version, kind;
};
std::vector<GroupVersionKind> kinds_of(const Type& type);

}  // namespace lab::api
