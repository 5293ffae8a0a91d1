#include "orchestrator/apiserver/negotiate.h"

#include <algorithm>

namespace lab::apiserver {
namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Takes the next piece up to `separator` off the front.
std::string_view next_part(std::string_view& text, char separator) {
  auto at = text.find(separator);
  auto part = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return trim(part);
}

bool wants_pretty(const http::Request& request, const http::Query& query) {
  if (query.has("pretty")) return query.flag("pretty");
  auto agent = request.headers.get("User-Agent");
  return agent.starts_with("curl") || agent.starts_with("Wget") || agent.starts_with("Mozilla/5.0");
}

bool fits(const MediaRange& range, bool protobuf, bool shapes, Accepted& out) {
  if (range.type == "application/json" || range.type == "*/*" || range.type == "application/*") {
    out.format = Format::kJson;
  } else if (range.type == "application/yaml") {
    out.format = Format::kYaml;
  } else if (range.type == "application/vnd.kubernetes.protobuf" && protobuf) {
    out.format = Format::kProtobuf;
  } else {
    return false;
  }
  out.shape = Shape::kObject;
  auto as = range.param("as");
  if (as.empty()) return true;
  if (!shapes) return false;
  auto version = range.param("v");
  if (range.param("g") != "meta.k8s.io" || (version != "v1" && version != "v1beta1")) return false;
  out.shape_version = version;
  if (as == "Table") {
    out.shape = Shape::kTable;
    return out.format != Format::kProtobuf;
  }
  if (as == "PartialObjectMetadata" || as == "PartialObjectMetadataList") {
    out.shape = Shape::kPartial;
    return true;
  }
  return false;
}

}  // namespace

std::string_view MediaRange::param(std::string_view name) const {
  for (const auto& [key, value] : params)
    if (key == name) return value;
  return {};
}

std::vector<MediaRange> parse_accept(std::string_view accept) {
  std::vector<MediaRange> out;
  while (!accept.empty()) {
    auto item = next_part(accept, ',');
    if (item.empty()) continue;
    MediaRange range;
    range.type = lower(next_part(item, ';'));
    while (!item.empty()) {
      auto param = next_part(item, ';');
      auto equals = param.find('=');
      if (equals == std::string_view::npos) continue;
      range.params.emplace_back(lower(trim(param.substr(0, equals))), std::string(trim(param.substr(equals + 1))));
    }
    out.push_back(std::move(range));
  }
  return out;
}

std::string_view Accepted::content_type() const {
  switch (format) {
    case Format::kYaml:
      return "application/yaml";
    case Format::kProtobuf:
      return "application/vnd.kubernetes.protobuf";
    case Format::kJson:
      break;
  }
  return "application/json";
}

Result<Accepted> negotiate(const http::Request& request, const http::Query& query, bool protobuf, bool shapes) {
  Accepted out;
  auto accept = request.headers.get("Accept");
  if (accept.empty()) {
    out.pretty = wants_pretty(request, query);
    return out;
  }
  for (const auto& range : parse_accept(accept))
    if (fits(range, protobuf, shapes, out)) {
      out.pretty = out.format == Format::kJson && wants_pretty(request, query);
      return out;
    }
  return fail(Code::kNotAcceptable,
              "only the following media types are accepted: application/json, application/yaml, "
              "application/vnd.kubernetes.protobuf");
}

}  // namespace lab::apiserver
