// Schema: the types of the Kubernetes API, generated at build time from the API's own definitions (proto and Go sources
// of Debian's golang-k8s-* packages) and embedded in compact form. One description drives protobuf, OpenAPI, strict
// field validation, pruning, structural defaulting, strategic merge and server-side apply.
//
// Immutable after first use; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab::api {

struct Type;

enum class Base : std::uint8_t {
  kString, kBool, kInt32, kInt64, kUint32, kUint64, kDouble, kBytes,
  kMessage,       // another Type
  kQuantity, kTime, kMicroTime, kIntOrString, kRawExtension, kJson, kFieldsV1, kDuration,   // special JSON forms
};

struct Field {
  std::string_view name;            // JSON name
  std::uint32_t number = 0;         // protobuf field number
  Base base = Base::kString;
  const Type* message = nullptr;    // for kMessage
  bool repeated = false;
  bool map = false;                 // map<string, base>
  bool inlined = false;             // json:",inline": the message's fields stand in the parent
  bool omit_empty = true;
  bool pointer = false;             // optional scalar: zero is kept when present
  bool required = false;
  std::string_view patch_strategy;  // "merge", "replace", "retainKeys", "merge,retainKeys"
  std::string_view patch_merge_key;
  std::string_view list_type;       // "atomic", "set", "map"
  std::vector<std::string_view> list_map_keys;
  std::string_view default_value;   // JSON text of +default
  std::string_view doc;
};

struct Type {
  std::string_view name;            // "k8s.io.api.core.v1.Pod"
  std::string_view doc;
  std::vector<Field> fields;
  const Field* by_json(std::string_view json_name) const;   // looks through inlined messages too
  const Field* by_number(std::uint32_t number) const;
};

const Type* find_type(std::string_view name);
std::span<const Type* const> all_types();

}  // namespace lab::api
