// Codec: request bodies in, answers out. Inside the server every object is JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/schema.h"

namespace lab::api {

// "k8s\0" + runtime.Unknown{typeMeta, raw}: the envelope of application/vnd.kubernetes.protobuf.
inline constexpr std::string_view kProtobufMagic{"k8s\0", 4};

// A protobuf body to JSON, apiVersion and kind filled from the envelope. BadRequest names the type and the byte offset.
Result<json::Value> decode_protobuf(std::string_view body);
// An object to an enveloped protobuf body. Fields the type does not know are dropped.
Result<std::string> encode_protobuf(const json::Value& object);
// One frame of a watch in protobuf: a bare WatchEvent around an enveloped object, without the length prefix.
Result<std::string> encode_watch_event(std::string_view event_type, const json::Value& object);
// Bare messages, without the envelope.
Result<json::Value> decode_message(const Type& type, std::string_view bytes);
Result<std::string> encode_message(const Type& type, const json::Value& object);

// Decodes by Content-Type: JSON, YAML or protobuf; kUnsupportedMedia (415) otherwise.
// `duplicates` takes what strict decoding says of keys that stand twice (the last one wins).
Result<json::Value> decode_body(std::string_view content_type, std::string_view body,
                                std::vector<std::string>* duplicates = nullptr);

// What strict decoding finds, worded as Kubernetes words it: `unknown field "spec.foo"`, `duplicate field "a.b"`.
std::vector<std::string> unknown_fields(const Type& type, const json::Value& object);
std::vector<std::string> duplicate_fields(std::string_view json_text);
// Removes unknown fields and nulls; normalises quantities and times; BadRequest when a field has a wrong JSON type, in
// Go's words: `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`.
Result<void> normalize(const Type& type, json::Value& object);
// What Go's encoder would add: zero values of fields that are neither omitempty nor pointers (creationTimestamp:
// null...).
void add_zero_values(const Type& type, json::Value& object);

}  // namespace lab::api
