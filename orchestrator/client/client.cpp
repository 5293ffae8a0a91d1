#include "orchestrator/client/client.h"

#include <cctype>
#include <cstring>

namespace lab::client {

namespace {

std::string_view content_type_of(PatchType type) {
  switch (type) {
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kStrategic:
      return "application/strategic-merge-patch+json";
    case PatchType::kApply:
      return "application/apply-patch+yaml";  // JSON is YAML
  }
  return "application/json";
}

// Names are DNS labels almost always; RBAC names may hold anything but '/' and '%'.
std::string encode_segment(std::string_view name) {
  for (char c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && !std::strchr("-._~:@", c)) return http::percent_encode(name);
  return std::string(name);
}

http::Request make_request(std::string method, std::string target) {
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers.set("Accept", "application/json");
  return request;
}

http::Request make_request(std::string method, std::string target, const json::Value& body,
                           std::string_view content_type = "application/json") {
  auto request = make_request(std::move(method), std::move(target));
  request.headers.set("Content-Type", std::string(content_type));
  request.body = json::dump(body);
  return request;
}

std::string with_query(std::string path, const http::Query& query) {
  std::string encoded = query.encode();
  return encoded.empty() ? path : path + "?" + encoded;
}

http::Query query_of(const ListOptions& options) {
  http::Query query;
  auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) query.add(name, value);
  };
  add("labelSelector", options.label_selector);
  add("fieldSelector", options.field_selector);
  add("resourceVersion", options.resource_version);
  add("continue", options.continue_token);
  if (options.limit > 0) query.add("limit", std::to_string(options.limit));
  if (options.timeout_seconds > 0) query.add("timeoutSeconds", std::to_string(options.timeout_seconds));
  return query;
}

json::Value body_of(const DeleteOptions& options) {
  json::Value body;
  json::set(body, "DeleteOptions", "kind");
  json::set(body, "v1", "apiVersion");
  if (options.grace_seconds) json::set(body, *options.grace_seconds, "gracePeriodSeconds");
  if (!options.propagation.empty()) json::set(body, options.propagation, "propagationPolicy");
  if (!options.uid.empty()) json::set(body, options.uid, "preconditions", "uid");
  if (!options.resource_version.empty()) json::set(body, options.resource_version, "preconditions", "resourceVersion");
  return body;
}

Task<Result<json::Value>> call(Transport& transport, http::Request request) {
  LAB_CO_TRY(http::Response response, co_await transport.send(std::move(request)));
  if (response.status / 100 != 2) co_return std::unexpected(error_of(response));
  std::string text = response.text();
  if (text.empty()) co_return json::Value();
  auto value = json::parse(text);
  if (!value) co_return std::unexpected(std::move(value).error().with_context("answer of the API server"));
  co_return std::move(*value);
}

// Events stand one to a line, however the lines are cut into pieces.
class JsonLinesWatch final : public WatchStream {
 public:
  explicit JsonLinesWatch(std::unique_ptr<http::ResponseStream> stream) : stream_(std::move(stream)) {}

  Task<Result<std::optional<WatchEvent>>> next() override {
    for (;;) {
      if (auto end = buffer_.find('\n', searched_); end != std::string::npos) {
        std::string line = buffer_.substr(begin_, end - begin_);
        begin_ = searched_ = end + 1;
        if (line.find_first_not_of(" \r\t") == std::string::npos) continue;
        co_return parse_event(line);
      }
      searched_ = buffer_.size();
      LAB_CO_TRY(std::string piece, co_await stream_->read());
      if (piece.empty()) co_return std::optional<WatchEvent>();
      if (begin_ > 0) {
        buffer_.erase(0, begin_);
        searched_ -= begin_;
        begin_ = 0;
      }
      buffer_ += piece;
    }
  }

  void close() override { stream_->close(); }

 private:
  static Result<std::optional<WatchEvent>> parse_event(const std::string& line) {
    auto parsed = json::parse(line);
    if (!parsed) return std::unexpected(std::move(parsed).error().with_context("watch event"));
    std::string_view type = json::str(*parsed, "type");
    WatchEvent event;
    if (type == "ADDED") {
      event.type = WatchEvent::kAdded;
    } else if (type == "MODIFIED") {
      event.type = WatchEvent::kModified;
    } else if (type == "DELETED") {
      event.type = WatchEvent::kDeleted;
    } else if (type == "BOOKMARK") {
      event.type = WatchEvent::kBookmark;
    } else if (type == "ERROR") {
      const auto& status = json::at(*parsed, "object");
      int code = static_cast<int>(json::num(status, "code"));
      return fail(code_of(code, json::str(status, "reason")), std::string(json::str(status, "message")));
    } else {
      return fail(Code::kInternal, "watch event of unknown type \"" + std::string(type) + "\"");
    }
    if (auto* object = parsed->as_object().if_contains("object")) event.object = std::move(*object);
    return std::optional<WatchEvent>(std::move(event));
  }

  std::unique_ptr<http::ResponseStream> stream_;
  std::string buffer_;
  std::size_t begin_ = 0;     // of the line being gathered
  std::size_t searched_ = 0;  // no line end before this
};

}  // namespace

std::string path_of(const Resource& r, std::string_view ns, std::string_view name, std::string_view sub) {
  std::string path = r.group.empty() ? "/api/" : "/apis/" + std::string(r.group) + "/";
  path += r.version;
  if (r.namespaced && !ns.empty()) (path += "/namespaces/") += encode_segment(ns);
  (path += '/') += r.plural;
  if (!name.empty()) (path += '/') += encode_segment(name);
  if (!sub.empty()) (path += '/') += sub;
  return path;
}

Error error_of(const http::Response& response) {
  std::string text = response.text();
  auto status = json::parse(text);
  if (!status || json::str(*status, "kind") != "Status") {
    Error error;
    error.code = code_of(response.status, "");
    if (text.size() > 300) text.resize(300);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
    error.message = "server answered " + std::to_string(response.status) + (text.empty() ? "" : ": " + text);
    return error;
  }
  Error error;
  error.code = code_of(response.status, json::str(*status, "reason"));
  error.message = json::str(*status, "message");
  if (error.message.empty()) error.message = "server answered " + std::to_string(response.status);
  if (json::has(*status, "details")) error.details = json::dump(json::at(*status, "details"));
  return error;
}

struct Client::Impl {
  std::unique_ptr<Transport> transport;
};

Client::Client(std::unique_ptr<Transport> transport) : impl_(new Impl{std::move(transport)}) {}
Client::~Client() = default;
Transport& Client::transport() {
  return *impl_->transport;
}

Task<Result<json::Value>> Client::get(Resource r, std::string ns, std::string name) {
  return call(transport(), make_request("GET", path_of(r, ns, name)));
}

Task<Result<json::Value>> Client::list(Resource r, std::string ns, ListOptions options) {
  auto request = make_request("GET", with_query(path_of(r, ns), query_of(options)));
  if (options.metadata_only)
    request.headers.set("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json");
  return call(transport(), std::move(request));
}

Task<Result<json::Value>> Client::create(Resource r, std::string ns, json::Value object) {
  return call(transport(), make_request("POST", path_of(r, ns), object));
}

Task<Result<json::Value>> Client::update(Resource r, std::string ns, json::Value object) {
  return call(transport(), make_request("PUT", path_of(r, ns, json::str(object, "metadata", "name")), object));
}

Task<Result<json::Value>> Client::update_status(Resource r, std::string ns, json::Value object) {
  return call(transport(),
              make_request("PUT", path_of(r, ns, json::str(object, "metadata", "name"), "status"), object));
}

Task<Result<json::Value>> Client::patch(Resource r, std::string ns, std::string name, PatchType type, json::Value body,
                                        std::string subresource) {
  std::string target = path_of(r, ns, name, subresource);
  if (type == PatchType::kApply) target += "?fieldManager=lab&force=true";
  return call(transport(), make_request("PATCH", std::move(target), body, content_type_of(type)));
}

Task<Result<json::Value>> Client::remove(Resource r, std::string ns, std::string name, DeleteOptions options) {
  return call(transport(), make_request("DELETE", path_of(r, ns, name), body_of(options)));
}

Task<Result<json::Value>> Client::create_sub(Resource r, std::string ns, std::string name, std::string subresource,
                                             json::Value body) {
  return call(transport(), make_request("POST", path_of(r, ns, name, subresource), body));
}

Task<Result<json::Value>> Client::update_sub(Resource r, std::string ns, std::string name, std::string subresource,
                                             json::Value body) {
  return call(transport(), make_request("PUT", path_of(r, ns, name, subresource), body));
}

Task<Result<std::unique_ptr<WatchStream>>> Client::watch(Resource r, std::string ns, ListOptions options) {
  auto query = query_of(options);
  query.add("watch", "true");
  query.add("allowWatchBookmarks", "true");
  auto request = make_request("GET", with_query(path_of(r, ns), query));
  if (options.metadata_only)
    request.headers.set("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");
  LAB_CO_TRY(auto stream, co_await transport().open(std::move(request)));
  if (stream->status() != 200) {
    // A refusal is short; the bound keeps a broken server from filling memory.
    http::Response refusal;
    refusal.status = stream->status();
    std::string text;
    while (text.size() < 64 * 1024) {
      LAB_CO_TRY(std::string piece, co_await stream->read());
      if (piece.empty()) break;
      text += piece;
    }
    refusal.body.push_back(http::buffer(std::move(text)));
    co_return std::unexpected(error_of(refusal));
  }
  std::unique_ptr<WatchStream> watch = std::make_unique<JsonLinesWatch>(std::move(stream));
  co_return std::move(watch);
}

Task<Result<http::Response>> Client::raw(http::Request request) {
  return transport().send(std::move(request));
}

}  // namespace lab::client
