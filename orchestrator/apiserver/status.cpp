#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

json::Object details_of(const api::Kind& kind, std::string_view name) {
  json::Object details;
  if (!name.empty()) details["name"] = name;
  if (!kind.group.empty()) details["group"] = kind.group;
  details["kind"] = kind.plural;
  return details;
}

Error with_details(Code code, std::string message, json::Object details) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  error.details = json::dump(json::Value(std::move(details)));
  return error;
}

Error plain(Code code, std::string message) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  return error;
}

}  // namespace

std::string qualified_resource(const api::Kind& kind) {
  return kind.group.empty() ? kind.plural : kind.plural + "." + kind.group;
}

Error not_found(const api::Kind& kind, std::string_view name) {
  return with_details(Code::kNotFound, qualified_resource(kind) + " \"" + std::string(name) + "\" not found",
                      details_of(kind, name));
}

Error already_exists(const api::Kind& kind, std::string_view name) {
  return with_details(Code::kAlreadyExists, qualified_resource(kind) + " \"" + std::string(name) + "\" already exists",
                      details_of(kind, name));
}

Error conflict(const api::Kind& kind, std::string_view name, std::string_view why) {
  return with_details(Code::kConflict,
                      "Operation cannot be fulfilled on " + qualified_resource(kind) + " \"" + std::string(name) +
                          "\": " + std::string(why),
                      details_of(kind, name));
}

Error modified(const api::Kind& kind, std::string_view name) {
  return conflict(kind, name,
                  "the object has been modified; please apply your changes to the latest version and try again");
}

Error bad_request(std::string message) {
  return plain(Code::kBadRequest, std::move(message));
}

Error method_not_supported(std::string_view method) {
  return with_details(Code::kMethodNotAllowed, "the server does not allow this method on the requested resource",
                      json::Object{{"causes", json::Array{json::Object{{"reason", "UnexpectedServerResponse"},
                                                                       {"message", std::string(method)}}}}});
}

Error not_found_path() {
  return plain(Code::kNotFound, "the server could not find the requested resource");
}

Error expired(std::string message) {
  return plain(Code::kGone, std::move(message));
}

Error too_many_requests(std::string message, int retry_after_seconds) {
  return with_details(Code::kTooManyRequests, std::move(message),
                      json::Object{{"retryAfterSeconds", retry_after_seconds}});
}

namespace {

// A whole Status in place of details: these never name a version.
bool is_status(const json::Value& details) {
  return json::str(details, "kind") == "Status" && json::has(details, "apiVersion");
}

}  // namespace

Error error_of_status(json::Value status) {
  Error error;
  error.code = code_of(static_cast<int>(json::num(status, "code")), json::str(status, "reason"));
  error.message = json::str(status, "message");
  error.details = json::dump(status);
  return error;
}

json::Value status_of(const Error& error) {
  if (!error.details.empty())
    if (auto whole = json::parse(error.details); whole && is_status(*whole)) return std::move(*whole);
  json::Object status{{"kind", "Status"},    {"apiVersion", "v1"},      {"metadata", json::Object{}},
                      {"status", "Failure"}, {"message", error.text()}, {"reason", reason_of(error.code)}};
  if (!error.details.empty())
    if (auto details = json::parse(error.details)) status["details"] = std::move(*details);
  status["code"] = http_status_of(error.code);
  return status;
}

json::Value success_status(const api::Kind& kind, std::string_view name, std::string_view uid) {
  auto details = details_of(kind, name);
  if (!uid.empty()) details["uid"] = uid;
  return json::Object{{"kind", "Status"},
                      {"apiVersion", "v1"},
                      {"metadata", json::Object{}},
                      {"status", "Success"},
                      {"details", std::move(details)}};
}

http::Response error_response(const Error& error) {
  auto status = status_of(error);
  http::Response response;
  response.status = static_cast<int>(json::num(status, "code"));
  response.headers.set("Content-Type", "application/json");
  if (auto seconds = json::num(status, "details", "retryAfterSeconds"); seconds > 0)
    response.headers.set("Retry-After", std::to_string(seconds));
  response.body.push_back(http::buffer(json::dump(status) + "\n"));
  return response;
}

}  // namespace lab::apiserver
