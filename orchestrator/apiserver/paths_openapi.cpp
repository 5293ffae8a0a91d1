// /openapi/v2 and /openapi/v3: made on first use, kept as text until the kind table changes.
#include <algorithm>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "orchestrator/api/openapi.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/paths.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr std::string_view kV2Protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
constexpr std::string_view kV2ProtobufOld = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
// Changes when the generator's output does.
constexpr std::string_view kDocumentVersion = "1.32.3-2";

std::string group_path_of(const api::Kind& kind) {
  return kind.group.empty() ? "api/" + kind.version : "apis/" + kind.group + "/" + kind.version;
}

std::string short_hash(const std::string& text) {
  auto hash = crypto::hex_encode(crypto::sha256(text)).substr(0, 32);
  std::ranges::transform(hash, hash.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return hash;
}

// The schema of a custom kind is its definition's.
json::Value custom_schema(const api::Kind& kind) {
  const auto* custom = as_custom(kind);
  return custom ? custom->object_schema : json::Value();
}

http::Response document(const http::Request& request, http::Buffer body, std::string type, const std::string& tag) {
  http::Response out;
  out.headers.set("ETag", "\"" + tag + "\"");
  out.headers.set("Vary", "Accept");
  if (request.headers.get("If-None-Match") == "\"" + tag + "\"") {
    out.status = 304;
    return out;
  }
  out.headers.set("Content-Type", std::move(type));
  out.body.push_back(std::move(body));
  return out;
}

}  // namespace

http::Buffer Paths::openapi_v2(bool protobuf) {
  auto& slot = documents_[protobuf ? "v2.pb" : "v2.json"];
  if (!slot) {
    auto value = api::openapi_v2(parts_.kinds->snapshot()->kinds, custom_schema);
    slot = http::buffer(protobuf ? api::openapi_v2_protobuf(value) : json::dump(value));
  }
  return slot;
}

http::Buffer Paths::openapi_v3(const std::string& group_path) {
  auto& slot = documents_["v3/" + group_path];
  if (!slot)
    slot = http::buffer(json::dump(api::openapi_v3(parts_.kinds->snapshot()->kinds, group_path, custom_schema)));
  return slot;
}

Reply Paths::openapi(const http::Request& request, std::string_view path) {
  auto table = parts_.kinds->snapshot();
  std::lock_guard lock(documents_mutex_);
  if (documents_generation_ != table->generation) {
    documents_.clear();
    documents_generation_ = table->generation;
  }
  auto stamp = std::string(kDocumentVersion) + "/" + std::to_string(table->generation);
  if (path == "/openapi/v2") {
    auto accept = parse_accept(request.headers.get("Accept"));
    for (const auto& range : accept)
      if (range.type == kV2Protobuf || range.type == kV2ProtobufOld)
        // Always the spelling that is a valid media type: Go's parser refuses the one with the @.
        return document(request, openapi_v2(true), std::string(kV2ProtobufOld), short_hash(stamp + "v2.pb"));
    return document(request, openapi_v2(false), "application/json", short_hash(stamp + "v2.json"));
  }
  std::vector<std::string> groups;
  for (const auto& kind : table->kinds)
    if (auto group = group_path_of(*kind); std::ranges::find(groups, group) == groups.end()) groups.push_back(group);
  if (path == "/openapi/v3") {
    json::Object paths;
    for (const auto& group : groups)
      paths[group] = json::Object{{"serverRelativeURL", "/openapi/v3/" + group + "?hash=" + short_hash(stamp + group)}};
    std::string others;
    if (parts_.documents)
      for (auto& [path, place] : parts_.documents()) {
        others += json::dump(place);
        paths[path] = std::move(place);
      }
    return document(request, http::buffer(json::dump(json::Object{{"paths", std::move(paths)}})), "application/json",
                    short_hash(stamp + others));
  }
  constexpr std::string_view kV3 = "/openapi/v3/";
  if (!path.starts_with(kV3)) return Failure(not_found_path());
  std::string group(path.substr(kV3.size()));
  if (std::ranges::find(groups, group) == groups.end()) return Failure(not_found_path());
  return document(request, openapi_v3(group), "application/json", short_hash(stamp + group));
}

}  // namespace lab::apiserver
