// Request bodies by content type, and what strict decoding says of duplicate keys.
#include <algorithm>
#include <set>

#include "base/yaml/yaml.h"
#include "orchestrator/api/codec.h"

namespace lab::api {

namespace {

// Walks JSON text that has already been parsed successfully.
class DuplicateFinder {
 public:
  explicit DuplicateFinder(std::string_view text) : text_(text) {}

  std::vector<std::string> run() {
    value("");
    return std::move(found_);
  }

 private:
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  std::string_view string() {
    const std::size_t from = ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    const std::string_view s = text_.substr(from, std::min(at_, text_.size()) - from);
    ++at_;
    return s;
  }

  void value(const std::string& path) {
    space();
    if (peek() == '{') {
      object(path);
    } else if (peek() == '[') {
      array(path);
    } else if (peek() == '"') {
      string();
    } else {
      while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
    }
    space();
  }

  void object(const std::string& path) {
    std::set<std::string_view> seen;
    do {
      ++at_;
      space();
      if (peek() != '"') break;
      const std::string_view key = string();
      const std::string below = path.empty() ? std::string(key) : path + "." + std::string(key);
      if (!seen.insert(key).second) add("duplicate field \"" + below + "\"");
      space();
      ++at_;  // the colon
      value(below);
    } while (peek() == ',');
    ++at_;
  }

  void array(const std::string& path) {
    std::size_t index = 0;
    do {
      ++at_;
      space();
      if (peek() == ']') break;
      value(path + "[" + std::to_string(index++) + "]");
    } while (peek() == ',');
    ++at_;
  }

  void add(std::string finding) {
    if (std::ranges::find(found_, finding) == found_.end()) found_.push_back(std::move(finding));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> found_;
};

std::string media_type(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  type.erase(0, type.find_first_not_of(' '));
  type.erase(type.find_last_not_of(' ') + 1);
  std::ranges::transform(type, type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return type;
}

}  // namespace

std::vector<std::string> duplicate_fields(std::string_view json_text) {
  return DuplicateFinder(json_text).run();
}

Result<json::Value> decode_body(std::string_view content_type, std::string_view body,
                                std::vector<std::string>* duplicates) {
  const std::string type = media_type(content_type);
  if (type == "application/vnd.kubernetes.protobuf") return decode_protobuf(body);
  if (type == "application/yaml" || type.ends_with("+yaml")) {
    std::vector<std::string> unwanted;
    return yaml::parse(body, duplicates ? duplicates : &unwanted);
  }
  if (!type.empty() && type != "application/json" && !type.ends_with("+json"))
    return fail(Code::kUnsupportedMedia,
                "the body of the request was in an unknown format - accepted media types include: application/json, "
                "application/yaml, application/vnd.kubernetes.protobuf");
  auto value = json::parse(body);
  if (value && duplicates) *duplicates = duplicate_fields(body);
  return value;
}

}  // namespace lab::api
