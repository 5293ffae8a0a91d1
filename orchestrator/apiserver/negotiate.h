// Content negotiation: which form of an object the client accepts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"

namespace lab::apiserver {

struct MediaRange {
  std::string type;  // "application/json", lower case
  std::vector<std::pair<std::string, std::string>> params;
  std::string_view param(std::string_view name) const;
};
std::vector<MediaRange> parse_accept(std::string_view accept);

enum class Format { kJson, kYaml, kProtobuf };
enum class Shape { kObject, kTable, kPartial };  // the object itself, meta/v1 Table, PartialObjectMetadata(List)

struct Accepted {
  Format format = Format::kJson;
  Shape shape = Shape::kObject;
  std::string shape_version = "v1";  // of meta.k8s.io: v1, v1beta1
  bool pretty = false;
  std::string_view content_type() const;
};

// kNotAcceptable (406) when nothing fits. `protobuf`: the kind has a protobuf form. `shapes`: the answer has other
// shapes than the object itself.
Result<Accepted> negotiate(const http::Request& request, const http::Query& query, bool protobuf, bool shapes = true);

}  // namespace lab::apiserver
