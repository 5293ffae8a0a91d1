// HTTP messages as both versions (RFC 9112, RFC 9113) and both sides share them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io/stream.h"

namespace lab::http {

// An immutable piece of a body that many responses may share (one encoded object, one watch event).
using Buffer = std::shared_ptr<const std::string>;
inline Buffer buffer(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

bool same_name(std::string_view a, std::string_view b);  // field names and tokens, without case

// Field names compare without case; order and repeats are kept.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}
  std::string_view get(std::string_view name) const;  // first value; "" when absent
  std::vector<std::string_view> all(std::string_view name) const;
  bool has(std::string_view name) const;
  void set(std::string_view name, std::string value);  // replaces
  void add(std::string_view name, std::string value);
  void remove(std::string_view name);
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method = "GET";
  std::string target = "/";  // path and query as sent: "/api/v1/pods?limit=500"
  Headers headers;
  std::string body;                    // already unzipped and unchunked
  Peer peer;                           // server side only
  std::string_view path() const;       // undecoded
  std::string_view raw_query() const;  // without '?'
};

struct Response {
  int status = 200;
  Headers headers;
  std::vector<Buffer> body;
  std::string text() const;  // the body joined
};

// The error as the Kubernetes Status object that API clients expect (JSON).
Response error_response(const Error& error);

std::string percent_decode(std::string_view text, bool plus_is_space = false);
std::string percent_encode(std::string_view text);
// Decoded name=value pairs in order.
class Query {
 public:
  Query() = default;
  explicit Query(std::string_view raw);
  std::string_view get(std::string_view name) const;  // "" when absent
  bool has(std::string_view name) const;
  bool flag(std::string_view name) const;  // "true" or "1"
  std::vector<std::string_view> all(std::string_view name) const;
  void add(std::string name, std::string value) { pairs_.emplace_back(std::move(name), std::move(value)); }
  std::string encode() const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace lab::http
